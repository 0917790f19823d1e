package transport

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// PionLogs passes pion's log on, one level lower: what it calls a warning is, for
// a server with many peers, the ordinary end of one of them.
func PionLogs(log *slog.Logger) logging.LoggerFactory { return pionLogs{log} }

type pionLogs struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (p pionLogs) NewLogger(string) logging.LeveledLogger { return pionLog(p) }

type pionLog struct{ log *slog.Logger }

func (l pionLog) Trace(string)          {}
func (l pionLog) Tracef(string, ...any) {}
func (l pionLog) Debug(string)          {}
func (l pionLog) Debugf(string, ...any) {}
func (l pionLog) Info(string)           {}
func (l pionLog) Infof(string, ...any)  {}
func (l pionLog) Warn(msg string)       { l.log.Debug("pion warns", "what", msg) }
func (l pionLog) Error(msg string)      { l.log.Debug("pion reports an error", "what", msg) }

func (l pionLog) Warnf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.Warn(fmt.Sprintf(format, args...))
	}
}

func (l pionLog) Errorf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.Error(fmt.Sprintf(format, args...))
	}
}

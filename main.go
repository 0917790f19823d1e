// Command tongxiang carries meetings, channels and recordings for a city, its
// townships and their villages. See README.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"tongxiang/configs"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "dev"

// exit codes: 1 a failure while running, 2 wrong use or a wrong configuration.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(say(run(ctx, os.Args[1:], os.Stdin, os.Stdout), os.Stderr))
}

// say tells how a command ended and returns the exit code.
func say(err error, out io.Writer) int {
	var wrong configs.Problems
	var use *useError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintln(out, err)
		return exitUsage
	case errors.As(err, &use):
		fmt.Fprintf(out, "%v\n\n%s\ntongxiang help: all commands\n", err, lines(use.command))
		return exitUsage
	}
	fmt.Fprintln(out, "tongxiang:", err)
	if a := advice(err); a != "" {
		fmt.Fprintln(out, a)
	}
	return exitFailure
}

// command runs what the first word names.
func command(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	name := "serve"
	if len(args) > 0 && (asksHelp(args[0]) || strings.HasSuffix(args[0], "-version") || !strings.HasPrefix(args[0], "-")) {
		name, args = args[0], args[1:]
	}
	switch {
	case asksHelp(name) && len(args) == 0:
		return helpWanted{strings.TrimPrefix(usage, "\n") + usageEnd}
	case asksHelp(name):
		return helpWanted{lines(strings.Join(args, " "))}
	}
	switch name {
	case "serve":
		return serve(ctx, args, out)
	case "probe":
		return probe(ctx, args, out)
	case "check":
		return check(args, out)
	case "token":
		return token(args, out)
	case "user":
		return user(ctx, args, in, out)
	case "recordings":
		return recordings(ctx, args, out)
	case "backup":
		return saveTo(ctx, args, out)
	case "restore":
		return restoreFrom(ctx, args, out)
	case "healthcheck":
		return healthcheck(ctx, args)
	case "version", "--version", "-version":
		fmt.Fprintln(out, "tongxiang", version)
		return nil
	}
	return misuse("", "there is no command %q", name)
}

// defaultConfig is read when no file is named and it is there.
const defaultConfig = "tongxiang.yaml"

func load(path string) (configs.Config, error) {
	if path == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
		}
	}
	return configs.Load(path, os.Environ())
}

func logger(level string) *slog.Logger {
	var l slog.Level
	// The level was checked with the configuration.
	_ = l.UnmarshalText([]byte(level))
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}

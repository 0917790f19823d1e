package server

import (
	"os/exec"

	"tongxiang/configs"
	"tongxiang/ingest"
)

// ingestOptions is what the ingest is told of the configuration.
func ingestOptions(cfg configs.Config, guide ingest.Guide) ingest.Options {
	o := ingest.Options{Guide: guide, Programs: make(map[string][]string, len(cfg.Ingest.Programs))}
	for _, p := range cfg.Ingest.Programs {
		o.Programs[p.Name] = p.Command
	}
	// Without ffmpeg, files that it would convert are skipped with that reason.
	if path, err := exec.LookPath(cfg.Transcode.FFmpeg); err == nil {
		o.FFmpeg = path
	}
	return o
}

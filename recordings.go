package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"tongxiang/internal/server"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
)

// recordings works on the library without a server.
func recordings(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && asksHelp(args[0]) {
		return helpWanted{lines("recordings")}
	}
	if len(args) == 0 || args[0] != "reindex" {
		return misuse("recordings", "wants reindex")
	}
	var path string
	var deep bool
	err := flags("recordings reindex", args[1:], func(fs *flag.FlagSet) {
		configFlag(fs, &path)
		fs.BoolVar(&deep, "deep", false, "compare every fragment with its checksum")
	})
	if err != nil {
		return err
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	log := logger(cfg.Log)
	st, err := store.Open(ctx, filepath.Join(cfg.Data, server.StoreFile), log)
	if err != nil {
		return err
	}
	hub := stream.NewHub(log)
	rec, err := recorder.Open(recorder.Config{Dir: cfg.RecordingsDir()}, hub, st, log)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	done, err := rec.Reindex(ctx, deep, func(path, what string) { fmt.Fprintf(out, "%s: %s\n", path, what) })
	for _, l := range done.Left {
		fmt.Fprintf(out, "%s: left alone: %s\n", l.Path, l.Why)
	}
	if err == nil {
		fmt.Fprintf(out, "%d recordings in the folders, %d added to the library, %d torn ends cut, %d indexes made anew, %d left alone\n",
			done.Found, done.Added, done.Cut, done.Made, len(done.Left))
	}
	err = errors.Join(err, rec.Close())
	hub.Close()
	return errors.Join(err, st.Close())
}

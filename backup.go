package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tongxiang/configs"
	"tongxiang/internal/backup"
	"tongxiang/internal/server"
	"tongxiang/internal/store"
)

// saveTo writes a backup of the server on this machine, which may be running.
func saveTo(ctx context.Context, args []string, out io.Writer) error {
	path, file, err := fileAndConfig("backup", args)
	if err != nil {
		return err
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	from := placeOf(cfg, path)
	if _, err := os.Stat(from.Database); err != nil {
		return fmt.Errorf("nothing to back up: %w", err)
	}
	sum, err := backup.Write(ctx, from, file)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s\n%s\n", file, told(sum), "It holds private keys: keep it where only you can read it. Recordings are not in it: copy "+cfg.RecordingsDir()+" as it lies.")
	return nil
}

// restoreFrom brings a backup back into an empty data folder.
func restoreFrom(ctx context.Context, args []string, out io.Writer) (err error) {
	path, file, err := fileAndConfig("restore", args)
	if err != nil {
		return err
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	if err := cfg.CheckDataDir(); err != nil {
		return err
	}
	lock, err := store.LockDir(cfg.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	to := placeOf(cfg, path)
	if to.Config == "" {
		to.Config = filepath.Join(cfg.Data, defaultConfig)
	}
	sum, err := backup.Restore(ctx, file, to)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %s\n", cfg.Data, told(sum))
	if sum.Config {
		fmt.Fprintf(out, "The configuration is in %s.\n", to.Config)
	}
	fmt.Fprintln(out, "Put the recordings back, start the server; recordings that it does not list are found by: tongxiang recordings reindex")
	return nil
}

// fileAndConfig parses what both take: one file, and the configuration.
func fileAndConfig(command string, args []string) (config, file string, err error) {
	words, err := flagsAmong(command, args, func(fs *flag.FlagSet) { configFlag(fs, &config) })
	if err != nil {
		return "", "", err
	}
	if len(words) != 1 {
		return "", "", misuse(command, "wants one file")
	}
	return config, words[0], nil
}

// placeOf is where a server with this configuration keeps what is saved.
func placeOf(cfg configs.Config, path string) backup.Place {
	if path == "" {
		if _, err := os.Stat(defaultConfig); err == nil {
			path = defaultConfig
		}
	}
	return backup.Place{Database: filepath.Join(cfg.Data, server.StoreFile), Keys: cfg.KeysDir(), Config: path}
}

// told says what a backup has.
func told(s backup.Summary) string {
	text := fmt.Sprintf("database of %s, files of keys: %d", bytesOf(s.Database), s.Keys)
	if s.Config {
		text += ", the configuration"
	}
	if s.Size > 0 {
		text += "; " + bytesOf(s.Size) + " in all"
	}
	return text
}

// bytesOf writes a size as people do.
func bytesOf(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

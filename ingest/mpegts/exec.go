package mpegts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"

	"tongxiang/ingest/source"
	"tongxiang/internal/ffmpeg"
)

// maxArgument is the longest value that an address may give a tuner program.
const maxArgument = 256

// command returns the arguments of the declared program that an address names:
// exec:zap?channel=CCTV1. Nothing else can be run, and a value takes the place of a
// whole argument, so that it stays what it is.
func command(u *url.URL, programs map[string][]string) ([]string, error) {
	name := Path(u)
	declared, ok := programs[name]
	if !ok || len(declared) == 0 {
		return nil, fmt.Errorf("no program %q is declared at ingest.programs; there is %s", name, known(programs))
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the parameters of %q: %w", name, err)
	}
	out := slices.Clone(declared)
	for i, arg := range out[1:] {
		key, placeholder := placeholder(arg)
		if !placeholder {
			continue
		}
		v := q.Get(key)
		switch {
		case v == "":
			return nil, fmt.Errorf("program %q wants the parameter %s", name, key)
		case strings.HasPrefix(v, "-"):
			return nil, fmt.Errorf("%s=%q looks like an option of the program", key, v)
		case len(v) > maxArgument || strings.ContainsRune(v, 0):
			return nil, fmt.Errorf("%s is longer than %d bytes, or has a zero in it", key, maxArgument)
		}
		out[1+i] = v
	}
	for key := range q {
		if !slices.Contains(declared[1:], "{"+key+"}") {
			return nil, fmt.Errorf("program %q has no parameter %s", name, key)
		}
	}
	return out, nil
}

// placeholder returns the name of the parameter that an argument stands for.
func placeholder(arg string) (key string, ok bool) {
	inner, ok := strings.CutPrefix(arg, "{")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, "}")
}

func known(programs map[string][]string) string {
	if len(programs) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(programs)), ", ")
}

// runExec reads the standard output of a program.
func runExec(args []string) func(context.Context, *Source, *source.Output, feeder) error {
	return func(ctx context.Context, _ *Source, out *source.Output, feed feeder) error {
		err := child(ctx, args, func(r io.Reader) error {
			buf := make([]byte, 64<<10)
			for {
				n, err := r.Read(buf)
				if n > 0 {
					feed.feed(buf[:n], out.Clock.Now())
				}
				if err != nil {
					return err
				}
			}
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
			return source.Because(source.CauseNotFound, err)
		case err == nil:
			err = errors.New("it ended by itself")
		}
		return source.Because(source.CauseEnded, fmt.Errorf("program %s: %w", args[0], err))
	}
}

// child runs a program in a process group of its own and passes its standard output
// to read. The error of a program that failed has its last words.
func child(ctx context.Context, args []string, read func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, said := ffmpeg.Command(ctx, args[0], args[1:]...)
	ffmpeg.Group(cmd)
	cmd.Env = environment()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer r.Close()
	widen(r)
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("start: %w", err)
	}
	// A program that does not end, or one that left its output to another, is
	// not waited for by the reader.
	defer context.AfterFunc(ctx, func() { r.Close() })()
	reading := read(r)
	if !errors.Is(reading, io.EOF) {
		cancel() // the reader has enough of it
	}
	exit := cmd.Wait()
	ffmpeg.EndGroup(cmd)
	if errors.Is(reading, io.EOF) {
		reading = nil
	}
	if reading == nil {
		reading = exit
	}
	if line := said.LastLine(); line != "" && reading != nil {
		return fmt.Errorf("%w: %s", reading, line)
	}
	return reading
}

// environment is what a program sees of ours: not the server's own settings, which
// may hold passwords.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TONGXIANG_") })
}

// runStdin reads this process's standard input.
func runStdin(in *os.File) func(context.Context, *Source, *source.Output, feeder) error {
	return func(ctx context.Context, _ *Source, out *source.Output, feed feeder) error {
		f, err := pollable(in)
		if err != nil {
			return source.Because(source.CauseFailed, fmt.Errorf("standard input: %w", err))
		}
		defer f.Close()
		// Closing a pipe that the poller knows wakes its reader.
		defer context.AfterFunc(ctx, func() { f.Close() })()
		buf := make([]byte, 64<<10)
		for {
			n, err := f.Read(buf)
			if n > 0 {
				feed.feed(buf[:n], out.Clock.Now())
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case errors.Is(err, io.EOF):
				return source.Because(source.CauseEnded, errors.New("standard input ended; it can be read once"))
			case err != nil:
				return source.Because(source.CauseFailed, fmt.Errorf("standard input: %w", err))
			}
		}
	}
}

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

// errUsage is an error in how the command was called.
var errUsage = errors.New("wrong use")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		var wrong configs.Problems
		switch {
		case errors.As(err, &wrong):
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitUsage)
		case errors.Is(err, errUsage):
			fmt.Fprintln(os.Stderr, err)
			fmt.Fprint(os.Stderr, usage)
			os.Exit(exitUsage)
		}
		fmt.Fprintln(os.Stderr, "tongxiang:", err)
		os.Exit(exitFailure)
	}
}

const usage = `
tongxiang [serve] [--config FILE]    run; without FILE: defaults, and ./tongxiang.yaml if it is there
tongxiang check --config FILE        0 if valid; else file:line: key: what is wrong
tongxiang probe URL|FILE [--json] [--seconds N]    what is in a transport stream or behind an RTSP address
tongxiang token --subject NAME --role ROLE [--stream NAME] [--ttl 1h] [--config FILE]
tongxiang user add --name NAME --role ROLE [--display TEXT] [--config FILE]    password from standard input
tongxiang user passwd --name NAME [--config FILE]                              password from standard input
tongxiang user list [--config FILE]
tongxiang recordings reindex [--deep] [--config FILE]    make the library anew from the folders; --deep: compare checksums
tongxiang healthcheck [--config FILE]    0 if the server on this machine answers
tongxiang version
`

// run is the command without the process around it.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
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
	case "healthcheck":
		return healthcheck(ctx, args)
	case "version":
		fmt.Fprintln(out, "tongxiang", version)
		return nil
	case "help":
		fmt.Fprint(out, usage)
		return nil
	}
	return fmt.Errorf("%w: there is no command %q", errUsage, command)
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

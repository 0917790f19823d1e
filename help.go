package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"tongxiang/internal/backup"
	"tongxiang/internal/store"
)

const usage = `
tongxiang [serve] [--config FILE]    run; without FILE: defaults, and ./tongxiang.yaml if it is there
tongxiang check --config FILE        0 if valid; else file:line: key: what is wrong
tongxiang probe URL|FILE [--json] [--seconds N]    what is in a transport stream or behind an RTSP address
tongxiang token --subject NAME --role ROLE [--stream NAME] [--ttl 1h] [--config FILE]
tongxiang user add --name NAME --role ROLE [--display TEXT] [--config FILE]    password from standard input
tongxiang user passwd --name NAME [--config FILE]                              password from standard input
tongxiang user list [--config FILE]
tongxiang recordings reindex [--deep] [--config FILE]    make the library anew from the folders; --deep: compare checksums
tongxiang backup FILE.tar.gz [--config FILE]     save database, keys and configuration, while the server runs
tongxiang restore FILE.tar.gz [--config FILE]    bring them back into an empty data folder
tongxiang healthcheck [--config FILE]    0 if the server on this machine answers
tongxiang version
tongxiang help [COMMAND]
`

const usageEnd = `
ROLE: administrator, operator, chair, member, viewer or kiosk.
Each key of a configuration can be set by the environment too: TONGXIANG_HTTP_LISTEN=:80 sets http.listen.
`

// lines returns the lines of the usage that are about a command, such as "probe" or
// "user add"; all of it for one that is not there.
func lines(command string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimPrefix(usage, "\n")) {
		words := strings.TrimPrefix(strings.Replace(line, "[serve]", "serve", 1), "tongxiang ")
		if command != "" && (words == command+"\n" || strings.HasPrefix(words, command+" ")) {
			b.WriteString(line)
		}
	}
	if b.Len() == 0 {
		return strings.TrimPrefix(usage, "\n")
	}
	return b.String()
}

// useError is an error in how a command was called.
type useError struct{ command, what string }

func (e *useError) Error() string {
	return strings.TrimRight("tongxiang "+e.command, " ") + ": " + e.what
}

// misuse returns a [useError].
func misuse(command, format string, args ...any) error {
	return &useError{command, fmt.Sprintf(format, args...)}
}

// helpWanted ends a command that was asked how it is used; text is the answer.
type helpWanted struct{ text string }

func (helpWanted) Error() string { return "help" }

// run is the command without the process around it.
func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	err := command(ctx, args, in, out)
	var help helpWanted
	if errors.As(err, &help) {
		fmt.Fprint(out, help.text)
		return nil
	}
	return err
}

// asksHelp reports whether a word asks how something is used.
func asksHelp(word string) bool {
	return word == "help" || word == "-h" || word == "-help" || word == "--help"
}

// flags parses what a command takes; anything else is wrong use.
func flags(name string, args []string, define func(*flag.FlagSet)) error {
	words, err := flagsAmong(name, args, define)
	if err == nil && len(words) > 0 {
		return misuse(name, "unexpected %q", words[0])
	}
	return err
}

// flagsAmong parses what a command takes and returns the words that are no flags;
// flags may stand before and behind them.
func flagsAmong(name string, args []string, define func(*flag.FlagSet)) (words []string, err error) {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	define(set)
	for {
		err := set.Parse(args)
		switch {
		case errors.Is(err, flag.ErrHelp):
			return nil, helpWanted{lines(name) + described(set)}
		case err != nil:
			return nil, misuse(name, "%v", err)
		case set.NArg() == 0:
			return words, nil
		}
		words, args = append(words, set.Arg(0)), set.Args()[1:]
	}
}

// described lists the flags of a command, one a line.
func described(set *flag.FlagSet) string {
	var b strings.Builder
	set.VisitAll(func(f *flag.Flag) {
		value, what := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" {
			what += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(&b, "  %-20s %s\n", strings.TrimRight("--"+f.Name+" "+value, " "), what)
	})
	if b.Len() == 0 {
		return ""
	}
	return "\n" + b.String()
}

// configFlag is the flag that all commands with a configuration have.
func configFlag(set *flag.FlagSet, path *string) {
	set.StringVar(path, "config", "", "the configuration `FILE`; without it ./"+defaultConfig+" if it is there, else defaults")
}

// advice says what to do about an error that new installations meet, in both
// languages; empty when the error says all.
func advice(err error) string {
	switch {
	case errors.Is(err, backup.ErrExists):
		return "Nothing was changed. Name another file; to restore, use an empty data folder.\n" +
			"未作任何改动。备份请换一个文件名；恢复请使用空的数据目录。"
	case errors.Is(err, backup.ErrNotBackup), errors.Is(err, store.ErrDamaged):
		return "Nothing was changed. Take another backup file.\n" +
			"未作任何改动。请换用另一个备份文件。"
	case errors.Is(err, store.ErrInUse):
		return "Another tongxiang runs with this data folder. Stop it first, or give this one another folder (data, or TONGXIANG_DATA).\n" +
			"另一个通乡正在使用这个数据目录。请先停止它，或为本程序指定别的目录（配置项 data，或环境变量 TONGXIANG_DATA）。"
	case errors.Is(err, syscall.EADDRINUSE):
		return "Another program, perhaps another tongxiang, has this port. Stop it, or set another port in the configuration under the key named above.\n" +
			"端口已被其他程序占用（也可能是另一个通乡）。请停止那个程序，或在配置中按上面所示的键改用别的端口。"
	case errors.Is(err, syscall.EACCES) && strings.Contains(err.Error(), "bind"):
		return "Ports below 1024 need a right: see packaging/tongxiang.service, or choose a port above.\n" +
			"使用 1024 以下的端口需要权限：参见 packaging/tongxiang.service，或改用更大的端口。"
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(err.Error(), "read configuration"):
		return "There is no such file. configs/ has samples to copy: demo.yaml, township.yaml, county.yaml, city.yaml.\n" +
			"没有这个文件。configs/ 目录中有可复制的样例：demo.yaml、township.yaml、county.yaml、city.yaml。"
	}
	return ""
}

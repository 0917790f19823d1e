package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

// token prints a bearer token for the local configuration. It needs only the key,
// so it works while the server runs.
func token(args []string, out io.Writer) error {
	var path, role string
	var q auth.TokenRequest
	err := flags("token", args, func(fs *flag.FlagSet) {
		configFlag(fs, &path)
		fs.StringVar(&q.Subject, "subject", "", "whose token it is, a `NAME` for the audit")
		fs.StringVar(&role, "role", "", "the `ROLE` whose rights it has")
		fs.StringVar(&q.Stream, "stream", "", "the only stream that it is good for, such as channels/cctv1: `NAME`; without it all")
		fs.DurationVar(&q.TTL, "ttl", time.Hour, "how long it is good for, a `TIME` such as 1h; 8760h at most")
	})
	if err != nil {
		return err
	}
	if q.Subject == "" || role == "" {
		return misuse("token", "needs --subject and --role")
	}
	q.Role = auth.Role(role)
	cfg, err := load(path)
	if err != nil {
		return err
	}
	if err := cfg.CheckDataDir(); err != nil {
		return err
	}
	key, err := auth.LoadKey(cfg.KeysDir())
	if err != nil {
		return err
	}
	t, _, err := auth.Sign(key, q, time.Now())
	if err != nil {
		return explain(err)
	}
	fmt.Fprintln(out, t)
	return nil
}

// errNoPassword: standard input was empty.
var errNoPassword = errors.New("no password on standard input")

func user(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 && asksHelp(args[0]) {
		return helpWanted{lines("user")}
	}
	if len(args) == 0 || !slices.Contains([]string{"add", "passwd", "list"}, args[0]) {
		return misuse("user", "wants add, passwd or list")
	}
	command, args := args[0], args[1:]
	var path, name, display, role string
	err := flags("user "+command, args, func(fs *flag.FlagSet) {
		configFlag(fs, &path)
		if command == "list" {
			return
		}
		fs.StringVar(&name, "name", "", "the `NAME` to log in with")
		if command == "add" {
			fs.StringVar(&display, "display", "", "what others see, a `TEXT`; without it the name")
			fs.StringVar(&role, "role", "", "administrator, operator, chair, member, viewer or kiosk: `ROLE`")
		}
	})
	switch {
	case err != nil:
		return err
	case command != "list" && name == "":
		return misuse("user "+command, "needs --name")
	case command == "add" && role == "":
		return misuse("user add", "needs --role")
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	if err := cfg.CheckDataDir(); err != nil {
		return err
	}
	st, err := store.Open(ctx, filepath.Join(cfg.Data, "tongxiang.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer st.Close()
	key, err := auth.LoadKey(cfg.KeysDir())
	if err != nil {
		return err
	}
	accounts, err := auth.New(st, key, auth.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	by := auth.Principal{ID: "console", Name: "console", Role: auth.Administrator} // for the audit
	switch command {
	case "add":
		password, err := readPassword(in)
		if err != nil {
			return err
		}
		u, err := accounts.CreateUser(ctx, by, auth.NewUser{Name: name, Display: display, Password: password, Role: auth.Role(role)})
		if err != nil {
			return explain(err)
		}
		fmt.Fprintf(out, "added %s (%s)\n", u.Name, u.Role)
		return nil
	case "passwd":
		password, err := readPassword(in)
		if err != nil {
			return err
		}
		u, err := accounts.UserNamed(ctx, name)
		if err != nil {
			return explain(err)
		}
		if err := accounts.SetPassword(ctx, by, u.ID, password); err != nil {
			return explain(err)
		}
		fmt.Fprintf(out, "%s has another password and has to log in again\n", u.Name)
		return nil
	}
	return listUsers(ctx, st, out)
}

func listUsers(ctx context.Context, st *store.Store, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tDISPLAY\tROLE\tDISABLED\tCREATED")
	for offset := 0; ; offset += store.MaxPage {
		rows, total, err := st.Users(ctx, "", store.Page{Limit: store.MaxPage, Offset: offset})
		if err != nil {
			return err
		}
		for _, u := range rows {
			fmt.Fprintf(w, "%s\t%s\t%s\t%v\t%s\n", u.Name, u.Display, u.Role, u.Disabled, u.Created.Format(time.RFC3339))
		}
		if offset+len(rows) >= total {
			return w.Flush()
		}
	}
}

func readPassword(in io.Reader) (string, error) {
	if f, ok := in.(*os.File); ok && terminal(f) {
		fmt.Fprint(os.Stderr, "password (seen as you type): ")
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errNoPassword
	}
	return line, nil
}

// explain turns an error for people into its sentences.
func explain(err error) error {
	var e *apierr.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %s %s", e.Code, e.EN, e.ZH)
	}
	return err
}

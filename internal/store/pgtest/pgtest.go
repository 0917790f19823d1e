// Package pgtest starts a PostgreSQL server of its own for tests and measurements,
// from the programs of the Debian package postgresql. Nothing of it listens on a
// network, and nothing of it is left when the process ends, however it ends.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// ErrNotInstalled: the programs of PostgreSQL are not on this machine.
var ErrNotInstalled = errors.New("PostgreSQL is not installed (Debian: apt-get install postgresql)")

const (
	// patience bounds the start of a server on a machine that is busy.
	patience = 2 * time.Minute
	// superuser is who may do everything in the server's databases.
	superuser = "tongxiang"
)

// keeper runs a server until its own input ends, which is when we end it or die, and
// removes its folder. Its arguments: the folder, the server's program, its arguments.
const keeper = `dir=$1; shift
"$@" >"$dir/log" 2>&1 & server=$!
echo up
read -r end
kill -QUIT $server 2>/dev/null
wait $server
rm -rf "$dir"`

// Server is a running PostgreSQL server. It belongs to whoever started it.
type Server struct {
	dir    string // holds the data and the socket
	keeper *exec.Cmd
	input  io.Closer
	admin  *sql.DB
}

// Start makes a cluster in a temporary folder and starts a server on it, on a socket
// in that folder. settings are "name=value"; for tests the server syncs nothing to
// disk unless they say "fsync=on". A machine without PostgreSQL is [ErrNotInstalled].
func Start(ctx context.Context, settings ...string) (s *Server, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tongxiang-pg-") // a socket's path must be short
	if err != nil {
		return nil, fmt.Errorf("make a folder for PostgreSQL: %w", err)
	}
	s = &Server{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(), os.RemoveAll(dir))
		}
	}()
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", superuser,
		"--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions")
	as(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a PostgreSQL cluster: %w: %s", err, out)
	}
	args := []string{"-c", keeper, "keeper", dir, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-h", "", "-c", "fsync=off"}
	for _, x := range settings {
		args = append(args, "-c", x)
	}
	s.keeper = exec.Command("/bin/sh", args...)
	as(s.keeper)
	if s.input, err = s.keeper.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.keeper.Start(); err != nil {
		s.keeper = nil
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if s.admin, err = sql.Open("pgx", s.url("postgres")); err != nil {
		return nil, fmt.Errorf("open PostgreSQL: %w", err)
	}
	return s, s.await(ctx)
}

// programs returns the folder of the newest PostgreSQL's programs.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	version := func(path string) int {
		n, err := strconv.Atoi(strings.Split(path, "/")[4])
		if err != nil {
			return 0 // not one of Debian's folders: the last choice
		}
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrNotInstalled
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("look for PostgreSQL: %w", err)
	}
	return filepath.Dir(path), nil
}

// unprivileged returns what makes a command run as somebody who is not root, whom
// PostgreSQL refuses, and gives him the folder.
func unprivileged(dir string) (func(*exec.Cmd), error) {
	if os.Geteuid() != 0 {
		return func(c *exec.Cmd) { c.Dir = dir }, nil
	}
	u, err := user.Lookup("postgres") // the package makes it
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user for PostgreSQL: %w", err)
		}
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
		return nil, fmt.Errorf("give PostgreSQL its folder: %w", err)
	}
	return func(c *exec.Cmd) {
		c.Dir = dir
		runAs(c, uid, gid)
	}, nil
}

// await waits until the server answers.
func (s *Server) await(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for {
		err := s.admin.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(filepath.Join(s.dir, "log")) // it may not have come so far
			return fmt.Errorf("wait for PostgreSQL: %w: %s", err, said)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *Server) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: url.Values{"host": {s.dir}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

// Database makes an empty database and returns its URL and what removes it, once
// nobody uses it.
func (s *Server) Database(ctx context.Context) (dsn string, drop func(context.Context) error, err error) {
	name := "t_" + strings.ToLower(rand.Text()[:16])
	if _, err := s.admin.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", nil, fmt.Errorf("make a database: %w", err)
	}
	return s.url(name), func(ctx context.Context) error {
		if _, err := s.admin.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			return fmt.Errorf("drop a database: %w", err)
		}
		return nil
	}, nil
}

// Version returns what the server calls itself.
func (s *Server) Version(ctx context.Context) (string, error) {
	var v string
	if err := s.admin.QueryRowContext(ctx, "SHOW server_version").Scan(&v); err != nil {
		return "", fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	return v, nil
}

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	var errs []error
	if s.admin != nil {
		errs = append(errs, s.admin.Close())
	}
	if s.keeper != nil {
		errs = append(errs, s.input.Close())
		if err := s.keeper.Wait(); err != nil {
			errs = append(errs, fmt.Errorf("end PostgreSQL: %w", err))
		}
	}
	return errors.Join(errs...)
}

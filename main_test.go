package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// called runs the command as a shell would and returns what it writes and its exit code.
func called(t *testing.T, input string, args ...string) (out, complaint string, code int) {
	t.Helper()
	var written, complained strings.Builder
	err := run(t.Context(), args, strings.NewReader(input), &written)
	code = say(err, &complained)
	return written.String(), complained.String(), code
}

func TestHelpIsAnAnswerAndNoError(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string
	}{
		{"-h", []string{"tongxiang [serve]", "tongxiang probe", "ROLE:"}},
		{"--help", []string{"tongxiang [serve]"}},
		{"help", []string{"tongxiang [serve]"}},
		{"help probe", []string{"tongxiang probe URL|FILE"}},
		{"serve -h", []string{"tongxiang [serve]", "--config FILE"}},
		{"check --help", []string{"tongxiang check", "--config FILE"}},
		{"probe -h", []string{"tongxiang probe", "--json", "--seconds N"}},
		{"token -h", []string{"tongxiang token", "--subject NAME", "--ttl TIME"}},
		{"user -h", []string{"user add", "user passwd", "user list"}},
		{"user add -h", []string{"tongxiang user add", "--role ROLE"}},
		{"user list -h", []string{"tongxiang user list", "--config FILE"}},
		{"recordings -h", []string{"recordings reindex"}},
		{"recordings reindex -h", []string{"--deep"}},
		{"backup -h", []string{"while the server runs", "--config FILE"}},
		{"healthcheck -h", []string{"tongxiang healthcheck"}},
		{"--version", []string{"tongxiang dev"}},
	} {
		out, complaint, code := called(t, "", strings.Fields(c.args)...)
		if code != 0 || complaint != "" {
			t.Errorf("%s: exit %d, %q", c.args, code, complaint)
		}
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("%s: no %q in\n%s", c.args, w, out)
			}
		}
	}
}

func TestWrongUseNamesTheCommandAndHowItIsUsed(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args string
		want []string
	}{
		{"bogus", []string{`there is no command "bogus"`, "tongxiang probe"}},
		{"serve --port 80", []string{"tongxiang serve: flag provided but not defined: -port", "tongxiang [serve] [--config FILE]"}},
		{"serve now", []string{`unexpected "now"`}},
		{"check", []string{"tongxiang check: needs --config FILE"}},
		{"probe", []string{"tongxiang probe: needs one address or file"}},
		{"probe --json", []string{"needs one address or file"}},
		{"probe --seconds 0 x.ts", []string{"--seconds is 1 to 3600"}},
		{"user", []string{"wants add, passwd or list"}},
		{"user remove", []string{"wants add, passwd or list"}},
		{"user add --role viewer", []string{"tongxiang user add: needs --name"}},
		{"user add --name li", []string{"needs --role"}},
		{"user passwd", []string{"needs --name"}},
		{"token --role viewer", []string{"needs --subject and --role"}},
		{"recordings", []string{"wants reindex"}},
		{"backup", []string{"tongxiang backup: wants one file", "tongxiang backup FILE.tar.gz"}},
		{"restore a b", []string{"wants one file"}},
	} {
		out, complaint, code := called(t, "", strings.Fields(c.args)...)
		if code != exitUsage || out != "" {
			t.Errorf("%s: exit %d, %q", c.args, code, out)
		}
		for _, w := range c.want {
			if !strings.Contains(complaint, w) {
				t.Errorf("%s: no %q in\n%s", c.args, w, complaint)
			}
		}
	}
	left, err := os.ReadDir(".")
	if err != nil || len(left) > 0 {
		t.Errorf("wrong use left files: %v %v", left, err)
	}
}

func TestProbeTakesItsFlagsBeforeAndBehindTheFile(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.ts")
	for _, args := range [][]string{{"probe", "--json", missing}, {"probe", missing, "--json", "--seconds", "2"}} {
		_, complaint, code := called(t, "", args...)
		if code != exitFailure || !strings.Contains(complaint, missing) {
			t.Errorf("%v: exit %d, %q", args, code, complaint)
		}
	}
}

func TestUsersAreMadeAndGetPasswordsFromTheShell(t *testing.T) {
	t.Setenv("TONGXIANG_DATA", t.TempDir())
	for _, c := range []struct {
		input, args string
		code        int
		want        string
	}{
		{"Harvest-2026\n", "user add --name li --role member --display 李庄镇", 0, "added li (member)"},
		{"short\n", "user passwd --name li", exitFailure, "weak_password"},
		{"", "user passwd --name li", exitFailure, "no password on standard input"},
		{"Harvest-2027\n", "user passwd --name li", 0, "li has another password"},
		{"Harvest-2027\n", "user passwd --name wang", exitFailure, "用户不存在"},
		{"Harvest-2027\n", "user add --name wang --role king", exitFailure, "bad_role"},
		{"", "token --subject wang --role king", exitFailure, "bad_role"},
		{"", "user list", 0, "李庄镇"},
	} {
		out, complaint, code := called(t, c.input, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+complaint, c.want) {
			t.Errorf("%s: exit %d\n%s%s", c.args, code, out, complaint)
		}
	}
}

func TestABackupBringsAnotherMachineTheAccounts(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "saved.tar.gz")
	step := func(data, input, args string, code int, want string) {
		t.Helper()
		t.Setenv("TONGXIANG_DATA", filepath.Join(dir, data))
		out, complaint, got := called(t, input, strings.Fields(args)...)
		if got != code || !strings.Contains(out+complaint, want) {
			t.Errorf("%s: exit %d\n%s%s", args, got, out, complaint)
		}
	}
	step("new", "", "backup "+file, exitFailure, "nothing to back up")
	step("old", "Harvest-2026\n", "user add --name li --role member --display 李庄镇", 0, "added li")
	step("old", "", "backup "+file, 0, "files of keys:")
	step("old", "", "backup "+file, exitFailure, "请换一个文件名")
	step("old", "", "restore "+file, exitFailure, "未作任何改动")
	step("new", "", "restore "+file, 0, "recordings reindex")
	step("new", "", "user list", 0, "李庄镇")
}

func TestAStartThatFailsSaysWhatToDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "a.yaml")
	text := "data: " + filepath.Join(dir, "data") + "\nhttp: {listen: \"" + taken.Addr().String() + "\"}\nhttps: {listen: \"\"}\n" +
		"webrtc: {udp: \"127.0.0.1:0\", tcp: \"\"}\nrtsp: {listen: \"\"}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var complained strings.Builder
	code := say(run(ctx, []string{"--config", config}, nil, &complained), &complained)
	for _, w := range []string{"http.listen", "address already in use", "set another port", "端口已被其他程序占用"} {
		if !strings.Contains(complained.String(), w) {
			t.Errorf("no %q in %s", w, complained.String())
		}
	}
	if code != exitFailure {
		t.Errorf("exit %d", code)
	}
	_, complaint, code := called(t, "", "serve", "--config", filepath.Join(dir, "b.yaml"))
	if code != exitFailure || !strings.Contains(complaint, "configs/ has samples") || !strings.Contains(complaint, "b.yaml") {
		t.Errorf("exit %d, %s", code, complaint)
	}
	if advice(errors.New("anything else")) != "" {
		t.Error("advice for an error that needs none")
	}
}

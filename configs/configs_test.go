package configs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestExamplesAreValid(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("examples %v, %v; want four", files, err)
	}
	for _, f := range files {
		if _, err := Load(f, nil); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func TestWithoutAFileTheDefaultsCount(t *testing.T) {
	c, err := Load("", []string{"TONGXIANG_HTTP_LISTEN=:9090", "TONGXIANG_SESSIONS_TTL=30m", "TONGXIANG_WEBRTC_ADDRESSES=10.0.0.1, 10.0.0.2", "PATH=/bin"})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != ":9090" || c.Sessions.TTL != 30*time.Minute || len(c.WebRTC.Addresses) != 2 || c.WebRTC.UDP != ":8443" {
		t.Errorf("%+v", c)
	}
}

func TestEveryMistakeIsNamedWithItsPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		yaml string
		env  []string
		want string
	}{
		"unknown key":       {"htpp: {listen: \":1\"}", nil, "f.yaml:1: htpp: unknown key (did you mean http?)"},
		"swapped letters":   {"http:\n  litsen: \":1\"", nil, "f.yaml:2: http.litsen: unknown key (did you mean http.listen?)"},
		"nothing like it":   {"xyzzy: 1", nil, "f.yaml:1: xyzzy: unknown key; known here: name, data"},
		"number for text":   {"data: 7", nil, `f.yaml:1: data: is "7", want text (put it in quotes)`},
		"text for number":   {"transcode:\n  max: many", nil, `f.yaml:2: transcode.max: is "many", want a whole number`},
		"more than all":     {"transcode: {cpu: 150}", nil, `f.yaml:1: transcode.cpu: is 150, want a share of the machine, 1 to 100 percent`},
		"text for bool":     {"demo: {enabled: perhaps}", nil, `want true or false`},
		"bad duration":      {"sessions: {ttl: long}", nil, "want a duration such as 30s or 12h"},
		"value for group":   {"http: \":8080\"", nil, `f.yaml:1: http: is "\":8080\"", want keys below it`},
		"group for list":    {"channels: {id: a}", nil, "f.yaml:1: channels: is a group of keys, want a list"},
		"port clash":        {"http: {listen: \":8443\"}", nil, "has the same TCP port 8443 as http.listen"},
		"bad port":          {"\n\nhttp: {listen: \":99999\"}", nil, `f.yaml:3: http.listen: has the port "99999", want 0 to 65535`},
		"bad scheme":        {"channels:\n  - {id: a, name: A, source: \"ftp://x/y\"}", nil, `f.yaml:2: channels[0].source: has the scheme "ftp"`},
		"unknown program":   {"channels:\n  - {id: a, name: A, source: \"exec:zap?channel=1\"}", nil, `f.yaml:2: channels[0].source: names the program "zap", which is not in ingest.programs`},
		"program twice":     {"ingest: {programs: [{name: a, command: [x]}, {name: a, command: [x]}]}", nil, `ingest.programs[1].name: "a" is also the name of ingest.programs[0]`},
		"program's name":    {"ingest: {programs: [{name: \"a b\", command: [x]}]}", nil, `ingest.programs[0].name: is "a b"`},
		"no program":        {"ingest: {programs: [{name: a, command: [\"{x}\"]}]}", nil, `ingest.programs[0].command: wants the program first`},
		"tuners below none": {"ingest: {programs: [{name: a, command: [x], at_once: -1}]}", nil, `ingest.programs[0].at_once: is -1`},
		"disk speed":        {"recorder: {disk_speed: -5}", nil, `recorder.disk_speed: is -5`},
		"half an argument":  {"ingest: {programs: [{name: a, command: [x, \"--freq={f}\"]}]}", nil, `ingest.programs[0].command[1]: is "--freq={f}"`},
		"SRT without port":  {"channels:\n  - {id: a, name: A, source: \"srt://h\"}", nil, `channels[0].source: names no port`},
		"same id twice":     {"channels:\n  - {id: a, name: A, source: \"udp://1.2.3.4:5\"}\n  - {id: a, name: B, source: \"udp://1.2.3.4:5\"}", nil, `f.yaml:3: channels[1].id: "a" is also the id of channels[0]`},
		"unknown fault":     {"channels:\n  - {id: a, name: A, source: \"udp://1.2.3.4:5\", switch: {on: [ugly]}}", nil, `f.yaml:2: channels[0].switch.on[0]: is "ugly", want one of no_packets`},
		"no patience":       {"channels:\n  - {id: a, name: A, source: \"udp://1.2.3.4:5\", switch: {after: {black: 1ms}}}", nil, `f.yaml:2: channels[0].switch.after.black: is 1ms, want 200ms to 1h`},
		"unknown way back":  {"channels:\n  - {id: a, name: A, source: \"udp://1.2.3.4:5\", switch: {back: soon}}", nil, `f.yaml:2: channels[0].switch.back: is "soon", want auto`},
		"broken yaml":       {"a: [", nil, "f.yaml:1: "},
		"unknown variable":  {"", []string{"TONGXIANG_HTTP_LISTN=x"}, "environment: TONGXIANG_HTTP_LISTN: unknown variable (did you mean TONGXIANG_HTTP_LISTEN?)"},
		"bad variable":      {"", []string{"TONGXIANG_TRANSCODE_MAX=x"}, "want a whole number"},
		"half a key pair":   {"https: {certificate: a.pem}", nil, "https.certificate: and https.key go together"},
		"output to nobody":  {"outputs:\n  - {id: a, stream: channels/a, address: \"udp://0.0.0.0:5\"}", nil, `f.yaml:2: outputs[0].address: is "udp://0.0.0.0:5": output_bad_host: 0.0.0.0 is the address of nobody`},
		"output of nothing": {"outputs:\n  - {id: a, stream: x, address: \"udp://1.2.3.4:5\"}", nil, `f.yaml:2: outputs[0].stream: is "x", want channels/ID`},
		"output too slow":   {"outputs:\n  - {id: a, stream: channels/a, address: \"udp://1.2.3.4:5\", bitrate: 4}", nil, `f.yaml:2: outputs[0].bitrate: is 4, want 0`},
		"output twice":      {"outputs:\n  - {id: a, stream: channels/a, address: \"udp://1.2.3.4:5\"}\n  - {id: a, stream: channels/a, address: \"udp://1.2.3.4:6\"}", nil, `f.yaml:3: outputs[1].id: "a" is also the id of outputs[0]`},
		"odd RTP port":      {"rtsp: {udp: \":8001\"}", nil, `f.yaml:1: rtsp.udp: has the port 8001, want an even number`},
		"RTP on a port":     {"webrtc: {udp: \":8001\"}", nil, `rtsp.udp: has the same UDP port 8001 as webrtc.udp`},
		"no multicast":      {"rtsp: {multicast: \"10.0.0.0/8\"}", nil, `rtsp.multicast: is "10.0.0.0/8", want an IPv4 multicast network`},
		"push to another":   {"channels:\n  - {id: a, name: A, source: \"push:b\"}", nil, `channels[0].source: has more than "push:"`},
		"unknown log level": {"log: loud", nil, `f.yaml:1: log: is "loud", want debug, info, warn or error`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tc.yaml), tc.env)
			var p Problems
			if !errors.As(err, &p) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestDataFolderThatCannotBeWrittenIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := Default()
	c.Data = filepath.Join(file, "below")
	if err := c.CheckDataDir(); err == nil || !strings.Contains(err.Error(), "data: cannot be made") {
		t.Errorf("got %v", err)
	}
	c.Data = filepath.Join(t.TempDir(), "new")
	if err := c.CheckDataDir(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"http: {listen: \":1\"}", "channels:\n  - {id: a}", "a: [", "? x\n: y", "&a [*a]", "<<: {a: b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f.yaml", text, nil)
		if err == nil && len(c.Validate()) > 0 {
			t.Errorf("accepted, yet %v", c.Validate())
		}
	})
}

package meeting

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "record what the scripts in testdata do now; read the diff before committing it")

// TestScripts runs each line of testdata/*.txt, "commands -> events" or "commands ! error",
// and compares what follows the commands. Each script also proves that its log replays to the same state.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

func runScript(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sc := &script{state: New(), now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), views: map[ID][]Assignment{}}
	var got strings.Builder
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimRight(line, "\n ")
		if line == "" || strings.HasPrefix(line, "#") {
			got.WriteString(line + "\n")
			continue
		}
		cmds := line
		for _, sep := range []string{"->", " ! "} {
			if i := strings.Index(cmds, sep); i >= 0 {
				cmds = cmds[:i]
			}
		}
		cmds = strings.TrimSpace(cmds)
		fmt.Fprintf(&got, "%-38s %s\n", cmds, sc.run(t, cmds))
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s is not what happens now (go test -update shows it as a diff); got:\n%s", file, got.String())
	}
	requireReplayEqual(t, sc.state, sc.log)
}

type script struct {
	state *State
	now   time.Time
	log   []Event
	views map[ID][]Assignment
}

// run executes commands joined by ";" and returns what came of them.
func (sc *script) run(t *testing.T, cmds string) string {
	var out []string
	for cmd := range strings.SplitSeq(cmds, ";") {
		words := strings.Fields(cmd)
		switch words[0] {
		case "state":
			out = append(out, describeState(sc.state))
			continue
		case "layout":
			out = append(out, sc.layout(t, words[1:]))
			continue
		}
		c := sc.command(t, words)
		events, err := sc.state.Apply(c, sc.now)
		sc.log = append(sc.log, events...)
		for _, e := range events {
			out = append(out, describe(e))
		}
		if err != nil {
			return strings.Join(append(out, ""), "; ") + "! " + who(words) + err.Error()
		}
	}
	if len(out) == 0 {
		return "-> nothing"
	}
	return "-> " + strings.Join(out, "; ")
}

func who(words []string) string {
	if len(words) > 1 {
		return words[1] + ": "
	}
	return ""
}

// command reads "verb who [word] [key=value]".
func (sc *script) command(t *testing.T, words []string) Command {
	t.Helper()
	arg := func(i int) ID {
		if i < len(words) && !strings.Contains(words[i], "=") {
			return ID(words[i])
		}
		return ""
	}
	opt := map[string]string{}
	flags := map[string]bool{}
	for _, w := range words[1:] {
		k, v, ok := strings.Cut(w, "=")
		if ok {
			opt[k] = v
		} else {
			flags[w] = true
		}
	}
	by := arg(1)
	if opt["by"] != "" {
		by = ID(opt["by"])
	}
	on := flags["on"] || flags["up"]
	switch words[0] {
	case "join":
		user := opt["user"]
		if user == "" {
			user = string(arg(1))
		}
		epoch, _ := strconv.ParseInt(opt["epoch"], 10, 64)
		id, taken := sc.state.Seat(user, Claim{Participant: ID(opt["claim"]), Epoch: epoch})
		if taken {
			return Resume{Participant: id}
		}
		return Join{
			Participant: id, Name: user, User: user, Role: Role(opt["role"]),
			Muted: flags["muted"], Camera: flags["camera"],
		}
	case "cut":
		return Disconnect{Participant: arg(1)}
	case "tick":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		sc.now = sc.now.Add(d)
		return Tick{}
	case "restart":
		return Restart{}
	case "media":
		return Publish{Participant: arg(1), On: on, Video: flags["video"]}
	case "leave":
		return Leave{By: by}
	case "mute":
		return Mute{By: by, Participant: arg(1), Muted: true}
	case "unmute":
		return Mute{By: by, Participant: arg(1), Muted: false}
	case "mute_all":
		return MuteAll{By: by, Muted: true, SelfUnmute: flags["self_unmute"]}
	case "unmute_all":
		return MuteAll{By: by}
	case "camera":
		return Camera{By: by, On: on}
	case "screen":
		return Screen{By: by, Participant: arg(1), On: on}
	case "hand":
		return Hand{By: by, Participant: arg(1), Raised: on}
	case "chat":
		return Chat{By: by, Text: strings.ReplaceAll(opt["text"], "_", " ")}
	case "role":
		return SetRole{By: by, Participant: arg(1), Role: Role(opt["role"])}
	case "end":
		return End{By: by}
	}
	t.Fatalf("unknown command %q", words)
	return nil
}

// layout reads "layout viewer slots=3 [speaker=id] [want=slot:id[:label][,...]] [hide=slot]".
func (sc *script) layout(t *testing.T, words []string) string {
	t.Helper()
	v := View{Viewer: ID(words[0])}
	var speaker ID
	for _, w := range words[1:] {
		key, val, _ := strings.Cut(w, "=")
		switch key {
		case "slots":
			v.Slots, _ = strconv.Atoi(val)
		case "speaker":
			speaker = ID(val)
		case "hide":
			n, _ := strconv.Atoi(val)
			v.Wants = append(v.Wants, Want{Slot: n})
		case "want":
			for one := range strings.SplitSeq(val, ",") {
				p := append(strings.Split(one, ":"), LabelVideo)
				n, _ := strconv.Atoi(p[0])
				v.Wants = append(v.Wants, Want{Slot: n, Participant: ID(p[1]), Label: p[2], Height: 180})
			}
		}
	}
	sc.views[v.Viewer] = Layout(sc.state, speaker, v, sc.views[v.Viewer])
	var out []string
	for _, a := range sc.views[v.Viewer] {
		s := fmt.Sprintf("%d:", a.Slot)
		if a.Participant != "" {
			s += fmt.Sprintf("%s@%d", a.Participant, a.MaxHeight)
		}
		if a.Label == LabelScreen {
			s += "(screen)"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func describe(e Event) string {
	switch b := e.Body.(type) {
	case Joined:
		s := fmt.Sprintf("joined %s %s", b.Participant.ID, b.Participant.Role)
		if b.Participant.Encoder {
			s += " encoder"
		}
		if b.Participant.Muted {
			s += " muted"
		}
		if b.Participant.MutedByChair {
			s += " by chair"
		}
		return s
	case Left:
		return fmt.Sprintf("left %s (%s)", b.Participant, b.Reason)
	case Disconnected:
		return "disconnected " + string(b.Participant)
	case Resumed:
		return "resumed " + string(b.Participant)
	case Muted:
		s := "unmuted "
		if b.Muted {
			s = "muted "
		}
		s += string(b.Participant)
		if b.MutedByChair {
			s += " by chair"
		}
		return s
	case UnmuteRequested:
		return fmt.Sprintf("%s asks %s to unmute", b.By, b.Participant)
	case MutedAll:
		return fmt.Sprintf("mute all %s, self unmute %s", onOff(b.Muted), onOff(b.SelfUnmute))
	case CameraSwitched:
		return fmt.Sprintf("camera %s %s", b.Participant, onOff(b.On))
	case ScreenSwitched:
		return fmt.Sprintf("screen %s %s", b.Participant, onOff(b.On))
	case HandMoved:
		return fmt.Sprintf("hand %s %s", b.Participant, onOff(b.Raised))
	case Said:
		return fmt.Sprintf("%s says %q", b.From, b.Text)
	case RoleGiven:
		return fmt.Sprintf("%s is %s", b.Participant, b.Role)
	case PublishingChanged:
		return fmt.Sprintf("publishing %s %s", b.Participant, onOff(b.On))
	}
	return e.Body.Kind()
}

func describeState(s *State) string {
	var out []string
	for i := range s.Participants {
		p := &s.Participants[i]
		d := string(p.ID) + "=" + string(p.Role)
		for _, f := range []struct {
			on   bool
			name string
		}{
			{!p.Connected, "cut"}, {p.Encoder, "encoder"}, {p.Publishing, "publishing"}, {p.Muted, "muted"},
			{p.MutedByChair, "by-chair"}, {p.Camera, "camera"}, {p.Screen, "screen"}, {p.Hand, "hand"},
		} {
			if f.on {
				d += "," + f.name
			}
		}
		out = append(out, d)
	}
	return fmt.Sprintf("[%s] hands=%v screen=%q", strings.Join(out, " "), s.Hands, s.Screen)
}

func TestErrorsSayWhatTheyNeed(t *testing.T) {
	s := New()
	if _, err := s.Apply(Join{Participant: "li", User: "li", Role: Member}, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err := s.Apply(End{By: "li"}, time.Now())
	var na NotAllowed
	if !errors.As(err, &na) || na.Need != Chair {
		t.Fatalf("got %v, want NotAllowed{chair}", err)
	}
}

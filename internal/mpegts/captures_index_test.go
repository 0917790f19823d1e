package mpegts

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// indexed is what the index of the captures says of a file. Its numbers were made by
// another scanner and by ffprobe.
type indexed struct {
	file     string // below the folder of captures
	packets  int
	programs map[int][]string // streams of each, in the scanner's words
	names    map[int][2]string
	lossy    bool // packets are damaged or bytes inserted: counts may differ
}

var (
	folderLine  = regexp.MustCompile("^Folder `([^`]+)/`")
	packetsWord = regexp.MustCompile(`(\d+)×(?:188|192|204) B pkts`)
	programWord = regexp.MustCompile(`(\d+)\[([^\]]*)\]`)
	programPart = regexp.MustCompile(`— \d+ prog: (.*?)(?: — |$)`)
	namesPart   = regexp.MustCompile(`— \d+ SDT svc e\.g\. (.*?)(?: — |$)`)
	nameWord    = regexp.MustCompile(`^42:(\d+) (.*) type[0-9a-f]{2}$`)
	tableWord   = regexp.MustCompile(`\[(?:GB2312|UTF8|UCS2|Big5/UCS2|[^\]/]*)\]`)
)

// index reads INDEX.md.
func index(t *testing.T, dir string) []indexed {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "INDEX.md"))
	if err != nil {
		t.Skip("the captures have no index: ", err)
	}
	defer f.Close()
	var out []indexed
	folder := ""
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := lines.Text()
		if m := folderLine.FindStringSubmatch(l); m != nil {
			folder = m[1]
			continue
		}
		cells := strings.Split(strings.Trim(l, "| "), " | ")
		if len(cells) < 4 || !strings.HasPrefix(l, "| ") || cells[0] == "file" {
			continue
		}
		if x, ok := parseIndex(filepath.Join(folder, cells[0]), strings.Join(cells[3:], " | ")); ok {
			out = append(out, x)
		}
	}
	return out
}

func parseIndex(file, says string) (indexed, bool) {
	x := indexed{file: file, programs: make(map[int][]string), names: make(map[int][2]string)}
	m := packetsWord.FindStringSubmatch(says)
	if m == nil {
		return x, false
	}
	x.packets, _ = strconv.Atoi(m[1])
	x.lossy = strings.Contains(says, "sync-loss") || strings.Contains(says, "TEI ") || strings.Contains(says, "CC ") || strings.Contains(says, "PMT version change")
	if m := programPart.FindStringSubmatch(says); m != nil {
		for _, p := range programWord.FindAllStringSubmatch(m[1], -1) {
			id, _ := strconv.Atoi(p[1])
			x.programs[id] = strings.Fields(p[2])
		}
	}
	if m := namesPart.FindStringSubmatch(says); m != nil {
		for _, s := range strings.Split(m[1], " / ") {
			if n := nameWord.FindStringSubmatch(strings.TrimSuffix(strings.TrimSpace(s), " CA")); n != nil {
				id, _ := strconv.Atoi(n[1])
				provider, name, _ := strings.Cut(tableWord.ReplaceAllString(n[2], ""), "/")
				x.names[id] = [2]string{provider, name}
			}
		}
	}
	return x, true
}

// inOurWords translates the scanner's words for streams; "" for those that say nothing.
func inOurWords(word string) string {
	switch {
	case word == "MPEG2v":
		return "MPEG-2"
	case word == "MPEG4v":
		return "MPEG-4"
	case word == "HEVC":
		return "H265"
	case word == "H264", word == "VVC":
		return word
	case word == "AAC-ADTS", word == "AAC-LATM":
		return "AAC"
	case word == "MP1a", word == "MP2a":
		return "MP2"
	case word == "MPEGH":
		return "MPEG-H audio"
	case strings.HasPrefix(word, "DSMCC"):
		return "DSM-CC"
	case word == "privsec":
		return "private sections"
	case word == "MetaPES":
		return "metadata"
	case strings.Contains(word, "EAC3"):
		return "E-AC-3"
	case strings.Contains(word, "AC-4"):
		return "AC-4"
	case strings.Contains(word, "AC3"), strings.Contains(word, "AC-3"):
		return "AC-3"
	case strings.Contains(word, "Opus"):
		return "Opus"
	case word == "priv:dvbsub":
		return "DVB subtitles"
	case word == "priv:ttx":
		return "teletext"
	case word == "priv:ext11":
		return "T2-MI"
	}
	return ""
}

// TestEveryCaptureHoldsWhatTheIndexSays compares packets, services, names, providers
// and codecs of every file that the index describes.
func TestEveryCaptureHoldsWhatTheIndexSays(t *testing.T) {
	dir := captures(t)
	files, programs, names := 0, 0, 0
	for _, x := range index(t, dir) {
		path := filepath.Join(dir, x.file)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		files++
		t.Run(filepath.Base(x.file), func(t *testing.T) {
			r := probeFile(t, path)
			if !x.lossy && int(r.Packets) != x.packets {
				t.Errorf("%d packets, the index says %d", r.Packets, x.packets)
			}
			services := make(map[int]ServiceReport)
			for _, s := range r.Services {
				services[int(s.ID)] = s
			}
			for id, words := range x.programs {
				programs++
				s, ok := services[id]
				if !ok && strings.HasSuffix(x.file, "m6-single.ts") && id == 1537 {
					continue // there is a PMT of it, and no PAT names it
				}
				if !ok {
					t.Errorf("service %d is not there", id)
					continue
				}
				// The index names eight streams of a programme at most.
				if len(s.Streams) != len(words) && (len(words) != 8 || len(s.Streams) < 8) {
					t.Errorf("service %d has %d streams, the index says %q", id, len(s.Streams), words)
					continue
				}
				for i, word := range words {
					want := inOurWords(word)
					// The index knows stream types; layer III is found in the frames.
					if got := s.Streams[i].Codec; want != "" && got != want && (want != "MP2" || got != "MP3") {
						t.Errorf("service %d, stream %d is %s, the index says %s", id, i, got, word)
					}
				}
			}
			for id, want := range x.names {
				s, ok := services[id]
				if !ok {
					continue // described, and not in this PAT
				}
				names++
				// The index shows a control code at the end as a full stop.
				bare := func(s string) string { return strings.TrimRight(s, ".") }
				if bare(s.Name) != bare(want[1]) || bare(s.Provider) != bare(want[0]) {
					t.Errorf("service %d is %q of %q, the index says %q of %q", id, s.Name, s.Provider, want[1], want[0])
				}
			}
		})
	}
	if files < 100 || programs < 70 || names < 60 {
		t.Errorf("only %d files, %d programmes and %d names were compared", files, programs, names)
	}
	t.Logf("%d files, %d programmes, %d names", files, programs, names)
}

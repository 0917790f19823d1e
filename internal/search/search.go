// Package search turns texts into words that a database's index can hold, and
// questions into words to look for. Chinese has no spaces, so every two neighbouring
// characters are a word: two characters are found exactly, longer questions by all
// their pairs. Latin words are found by their beginnings. Titles and names are found
// by the initials of their pinyin, too: fxhs finds 防汛会商.
//
// Words are made of a-z and 0-9 alone, whatever the script, so that no tokenizer and
// no collation of a database touches them. The first letter tells the kind:
//
//	h  two characters of any other script, four digits of base 36 each
//	u  one such character of a title or a name
//	l  a Latin word or a number, or the initials from one character on
//	p  its first two, three or four letters, so that short beginnings need no range
//	f  a facet: a value that a filter asks for whole
//
// Everything is pure and safe for concurrent use.
package search

import (
	"hash/fnv"
	"iter"
	"strconv"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"
	"golang.org/x/text/unicode/norm"
)

const (
	// MaxBody bounds what is looked at of a long text, in bytes: about ten hours of chat.
	MaxBody = 256 << 10
	// MaxQuestion bounds a question, in characters.
	MaxQuestion = 64

	shortest    = 2  // letters of a beginning that is a word of its own
	beginning   = 4  // likewise, the longest
	longestWord = 32 // runes of a Latin word that count
	initials    = 8  // how many of a run's initials count from each character on
	readings    = 2  // how many initials a character may have
	variants    = 4  // how many ways to read one run count
)

// Text is what is to be found of one thing.
type Text struct {
	Title  string
	Names  []string // of people and units
	Body   string   // whatever else; not by initials
	Facets []string // made by [Facet]
}

// Facet returns the word of a value of a filter.
func Facet(kind, value string) string {
	h := fnv.New64a()
	// A hash never returns an error.
	_, _ = h.Write([]byte(kind + "\x00" + value))
	return "f" + strconv.FormatUint(h.Sum64(), 36)
}

// Words returns the words of a text, each once, in no order.
func Words(t Text) []string {
	seen := make(map[string]struct{})
	for _, f := range t.Facets {
		seen[f] = struct{}{}
	}
	for _, s := range append([]string{t.Title}, t.Names...) {
		for r := range runs(s) {
			r.words(seen)
			r.initials(seen)
			if !r.latin {
				for _, c := range r.text {
					seen["u"+digits(c)] = struct{}{}
				}
			}
		}
	}
	for r := range runs(cut(t.Body, MaxBody)) {
		r.words(seen)
	}
	out := make([]string, 0, len(seen))
	for w := range seen {
		out = append(out, w)
	}
	return out
}

// Term is one word to look for; all of a question must be there.
type Term struct {
	Word   string
	Prefix bool // or any that begins with it
}

// Ask returns what to look for. None means that the question holds nothing that
// could be found.
func Ask(question string) []Term {
	var out []Term
	add := func(t Term) {
		for _, o := range out {
			if o == t {
				return
			}
		}
		out = append(out, t)
	}
	left := MaxQuestion
	for r := range runs(question) {
		if len(r.text) > left {
			r.text = r.text[:left]
		}
		if left -= len(r.text); len(r.text) == 0 {
			break
		}
		switch {
		case r.latin && len(r.text) >= shortest && len(r.text) <= beginning:
			add(Term{Word: "p" + string(r.text)})
		case r.latin:
			add(Term{Word: r.word(), Prefix: len(r.text) > beginning})
		case len(r.text) == 1:
			add(Term{Word: "u" + digits(r.text[0])})
		default:
			for i := range len(r.text) - 1 {
				add(Term{Word: "h" + digits(r.text[i]) + digits(r.text[i+1])})
			}
		}
	}
	return out
}

// run is a piece of text without spaces and signs, of one kind.
type run struct {
	text  []rune
	latin bool // a-z and 0-9
}

// runs cuts a text into runs: small letters, full-width signs as ASCII (NFKC).
func runs(s string) iter.Seq[run] {
	return func(yield func(run) bool) {
		var r run
		for _, c := range norm.NFKC.String(strings.ToLower(s)) {
			c = unicode.ToLower(c) // NFKC may bring capitals
			latin := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
			part := latin || unicode.In(c, unicode.Letter, unicode.Number, unicode.Mark)
			if len(r.text) > 0 && (!part || latin != r.latin) {
				if !yield(r) {
					return
				}
				r = run{}
			}
			if part {
				r.latin = latin
				r.text = append(r.text, c)
			}
		}
		if len(r.text) > 0 {
			yield(r)
		}
	}
}

// digits writes a character in four digits of base 36, which is room for all.
func digits(c rune) string {
	s := strconv.FormatInt(int64(c), 36)
	return "0000"[len(s):] + s
}

func (r run) word() string { return "l" + string(r.text[:min(len(r.text), longestWord)]) }

func (r run) words(out map[string]struct{}) {
	if r.latin {
		latin(r.word()[1:], out)
		return
	}
	for i := range len(r.text) - 1 {
		out["h"+digits(r.text[i])+digits(r.text[i+1])] = struct{}{}
	}
}

// latin adds a word and its beginnings.
func latin(w string, out map[string]struct{}) {
	out["l"+w] = struct{}{}
	for n := shortest; n <= min(beginning, len(w)); n++ {
		out["p"+w[:n]] = struct{}{}
	}
}

// initials adds the initials of the pinyin from each character on. A character with
// several readings has several.
func (r run) initials(out map[string]struct{}) {
	if r.latin {
		return
	}
	letters := make([]string, len(r.text))
	for i, c := range r.text {
		letters[i] = initialsOf(c)
	}
	for i := range letters {
		ways := []string{""}
		for _, l := range letters[i:min(i+initials, len(letters))] {
			if l == "" {
				break
			}
			var next []string
			for _, x := range l {
				for _, w := range ways {
					if len(next) < variants {
						next = append(next, w+string(x))
					}
				}
			}
			ways = next
		}
		for _, w := range ways {
			if len(w) >= shortest {
				latin(w, out)
			}
		}
	}
}

// initialsOf returns the first letters of a character's readings, the usual one first.
func initialsOf(c rune) string {
	if !unicode.Is(unicode.Han, c) {
		return ""
	}
	out := ""
	for _, p := range pinyin.SinglePinyin(c, pinyin.Args{Style: pinyin.FirstLetter, Heteronym: true}) {
		if len(p) == 1 && p[0] >= 'a' && p[0] <= 'z' && !strings.Contains(out, p) && len(out) < readings {
			out += p
		}
	}
	return out
}

// cut returns the beginning of a text of at most n bytes, whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

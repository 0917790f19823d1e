package search

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// finds does what a database's index does.
func finds(words []string, terms []Term) bool {
	for _, t := range terms {
		if !slices.ContainsFunc(words, func(w string) bool { return w == t.Word || t.Prefix && strings.HasPrefix(w, t.Word) }) {
			return false
		}
	}
	return len(terms) > 0
}

func TestTextsAreFoundByPartsNamesAndInitials(t *testing.T) {
	words := Words(Text{
		Title: "2026年防汛会商（重庆）CCTV-1 ＨＤ", Names: []string{"张伟", "青山镇政府"}, Body: "水稻病虫害防治，请各镇参会", Facets: []string{Facet("class", "news")},
	})
	for question, want := range map[string]bool{
		"防汛": true, "会商": true, "防汛会商": true, "汛会": true, "商防": false, "会": true, "商": true, "府": true, "治": false, // one character: of titles and names only

		"cctv": true, "CCTV": true, "cct": true, "ctv": false, "1": true, "2026": true, "20": true, "2": false, "hd": true, "ＣＣＴＶ": true,
		"张伟": true, "青山": true, "青山 张伟": true, "青山 李雷": false, "水稻": true, "病虫害": true, "防汛 cctv 水稻": true,
		"fxhs": true, "hs": true, "fxh": true, "cq": true, "zq": true, "zw": true, "qsz": true, "qszzf": true,
		"sd": false, // of a body only what was written counts
		"":   false, "！？ …": false, "畜牧": false, "%": false, "'": false, `"防汛"`: true, "防汛*": true,
	} {
		if got := finds(words, Ask(question)); got != want {
			t.Errorf("%q: %v, want %v (%v)", question, got, want, Ask(question))
		}
	}
	if !slices.Contains(words, Facet("class", "news")) || slices.Contains(words, Facet("stream", "news")) {
		t.Error("facets are not told apart")
	}
}

func TestInitialsHaveEveryUsualReading(t *testing.T) {
	for title, questions := range map[string]string{
		"重庆银行": "cqyh zqyx yh yx", "长春市": "ccs zcs", "会计培训": "kjpx hjpx", "村医": "cy",
	} {
		words := Words(Text{Title: title})
		for q := range strings.FieldsSeq(questions) {
			if !finds(words, Ask(q)) {
				t.Errorf("%s is not found by %s: %v", title, q, words)
			}
		}
	}
}

func TestQuestionsAndTextsAreBounded(t *testing.T) {
	if n := len(Ask(strings.Repeat("水稻病虫害防治", 1000))); n > MaxQuestion {
		t.Errorf("%d terms", n)
	}
	var long strings.Builder
	for c := '一'; long.Len() < 2*MaxBody; c++ {
		long.WriteRune('一' + c%20000)
	}
	if n := len(Words(Text{Body: long.String()})); n > MaxBody/3+1 {
		t.Errorf("%d words", n)
	}
}

func FuzzWordsAreOfLettersAndDigits(f *testing.F) {
	f.Add("防汛 CCTV-1", "x")
	f.Add("ས྅Ⅷ\xff\x00'\"", "ﷺ")
	f.Fuzz(func(t *testing.T, title, body string) {
		for _, w := range Words(Text{Title: title, Names: []string{body}, Body: body}) {
			for _, c := range w {
				if c >= utf8.RuneSelf || !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9') || len(w) > 40 {
					t.Fatalf("%q of %q", w, title)
				}
			}
		}
		for _, q := range Ask(title) {
			if q.Word == "" || strings.ContainsAny(q.Word, `"'* `) {
				t.Fatalf("%q", q.Word)
			}
		}
	})
}

package hls

import (
	"fmt"

	"tongxiang/internal/media"
)

// language is what a player is told about a language.
type language struct {
	tag  string // RFC 5646, the shortest: ISO 639-1 where there is one
	name string // what people here call the sound
}

// languages are those that programmes here come in, by ISO 639-2 code, both its
// bibliographic and its terminological form. Others are called by their code.
var languages = map[string]language{
	"chi": {"zh", "普通话"}, "zho": {"zh", "普通话"}, "cmn": {"zh", "普通话"},
	"yue": {"yue", "粤语"}, "nan": {"nan", "闽南语"}, "wuu": {"wuu", "吴语"}, "hak": {"hak", "客家话"},
	"tib": {"bo", "藏语"}, "bod": {"bo", "藏语"}, "mon": {"mn", "蒙古语"}, "uig": {"ug", "维吾尔语"},
	"kaz": {"kk", "哈萨克语"}, "kir": {"ky", "柯尔克孜语"}, "kor": {"ko", "朝鲜语"}, "zha": {"za", "壮语"},
	"iii": {"ii", "彝语"}, "hmn": {"hmn", "苗语"}, "tdd": {"tdd", "傣语"}, "tgk": {"tg", "塔吉克语"}, "uzb": {"uz", "乌孜别克语"},
	"eng": {"en", "英语"}, "jpn": {"ja", "日语"}, "rus": {"ru", "俄语"}, "fre": {"fr", "法语"}, "fra": {"fr", "法语"},
	"ger": {"de", "德语"}, "deu": {"de", "德语"}, "spa": {"es", "西班牙语"}, "por": {"pt", "葡萄牙语"}, "ita": {"it", "意大利语"},
	"ara": {"ar", "阿拉伯语"}, "vie": {"vi", "越南语"}, "tha": {"th", "泰语"}, "lao": {"lo", "老挝语"},
	"bur": {"my", "缅甸语"}, "mya": {"my", "缅甸语"}, "nep": {"ne", "尼泊尔语"}, "hin": {"hi", "印地语"}, "urd": {"ur", "乌尔都语"},
	"may": {"ms", "马来语"}, "msa": {"ms", "马来语"}, "ind": {"id", "印尼语"},
	"qaa": {"", "原声"}, "mul": {"", "多语"}, "mis": {"", ""}, "und": {"", ""}, "zxx": {"", "背景声"},
}

// spoken returns what a player is told about a language.
func spoken(code string) language {
	if l, ok := languages[code]; ok {
		return l
	}
	if len(code) == 3 && isLetters(code) {
		return language{code, code}
	}
	return language{}
}

func isLetters(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// sound is one sound of a stream as a playlist offers it.
type sound struct {
	name    string // unique among those offered together
	tag     string // empty when the stream does not say
	channel int    // how many; 0 when not known
	first   bool   // what is heard unless somebody chooses
}

// sounds names the sounds of a stream. The first in Chinese is heard first, else the
// first of all: the source's order.
func sounds(formats []media.Format) []sound {
	out := make([]sound, len(formats))
	used := make(map[string]int)
	chosen := -1
	for i, f := range formats {
		l := spoken(f.Language)
		name := l.name
		if name == "" {
			name = "伴音"
		}
		if used[name]++; used[name] > 1 {
			name = fmt.Sprintf("%s %d", name, used[name])
		}
		out[i] = sound{name: name, tag: l.tag, channel: f.Channels}
		if chosen < 0 && l.tag == "zh" {
			chosen = i
		}
	}
	if len(out) > 0 {
		out[max(chosen, 0)].first = true
	}
	return out
}

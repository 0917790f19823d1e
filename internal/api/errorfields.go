package api

import (
	"regexp"
	"strings"
)

// The framework says in English what is wrong with a field. These are the sentences
// for people: what they read beside the field of a form.

// fieldWords turn what the framework says into both languages; $1 is its number or name.
var fieldWords = []struct {
	said   *regexp.Regexp
	en, zh string
}{
	{regexp.MustCompile(`^expected (?:array )?length >= 1$`), "must not be empty", "不能为空"},
	{regexp.MustCompile(`^expected length >= (\d+)$`), "at least $1 characters", "至少 $1 个字符"},
	{regexp.MustCompile(`^expected length <= (\d+)$`), "at most $1 characters", "最多 $1 个字符"},
	{regexp.MustCompile(`^expected array length >= (\d+)$`), "at least $1 of them", "至少 $1 项"},
	{regexp.MustCompile(`^expected array length <= (\d+)$`), "at most $1 of them", "最多 $1 项"},
	{regexp.MustCompile(`^expected number >=? (\S+)$`), "at least $1", "不能小于 $1"},
	{regexp.MustCompile(`^expected number <=? (\S+)$`), "at most $1", "不能大于 $1"},
	{regexp.MustCompile(`^expected required property (\S+) to be present$`), "$1 is missing", "缺少 $1"},
	{regexp.MustCompile(`^expected value to be one of "(.*)"$`), "one of $1", "只能是 $1 之一"},
	{regexp.MustCompile(`^expected string to be RFC 3339 date-time$`), "a time such as 2026-12-02T06:00:00Z", "应为时间，例如 2026-12-02T06:00:00Z"},
	{regexp.MustCompile(`^expected (?:number|integer)$`), "a number", "应为数字"},
	{regexp.MustCompile(`^expected boolean$`), "true or false", "应为 true 或 false"},
	{regexp.MustCompile(`^expected string$`), "text", "应为文字"},
	{regexp.MustCompile(`^expected string to match pattern .*$`), "has characters that are not possible here", "含有此处不能使用的字符"},
	{regexp.MustCompile(`^unexpected property$`), "is not known here", "没有这一项"},
}

// fieldSentence returns both sentences of what the framework said; the Chinese one is
// empty for what only a script can have done.
func fieldSentence(said string) (en, zh string) {
	said = strings.TrimSpace(said)
	for _, w := range fieldWords {
		if w.said.MatchString(said) {
			return w.said.ReplaceAllString(said, w.en), w.said.ReplaceAllString(said, w.zh)
		}
	}
	return said, ""
}

package api

import (
	"fmt"
	"testing"

	"github.com/danielgtaylor/huma/v2/validation"
)

func TestWhatIsWrongWithAFieldIsSaidInBothLanguages(t *testing.T) {
	for _, c := range []struct{ said, en, zh string }{
		{fmt.Sprintf(validation.MsgExpectedMinLength, 1), "must not be empty", "不能为空"},
		{fmt.Sprintf(validation.MsgExpectedMinLength, 8), "at least 8 characters", "至少 8 个字符"},
		{fmt.Sprintf(validation.MsgExpectedMaxLength, 200), "at most 200 characters", "最多 200 个字符"},
		{fmt.Sprintf(validation.MsgExpectedMinItems, 1), "must not be empty", "不能为空"},
		{fmt.Sprintf(validation.MsgExpectedMaximumNumber, 65535), "at most 65535", "不能大于 65535"},
		{fmt.Sprintf(validation.MsgExpectedMinimumNumber, 0), "at least 0", "不能小于 0"},
		{fmt.Sprintf(validation.MsgExpectedRequiredProperty, "title"), "title is missing", "缺少 title"},
		{fmt.Sprintf(validation.MsgExpectedOneOf, `a, b`), "one of a, b", "只能是 a, b 之一"},
		{validation.MsgExpectedRFC3339DateTime, "a time such as 2026-12-02T06:00:00Z", "应为时间，例如 2026-12-02T06:00:00Z"},
		{validation.MsgUnexpectedProperty, "is not known here", "没有这一项"},
		{"something else", "something else", ""},
	} {
		if en, zh := fieldSentence(c.said); en != c.en || zh != c.zh {
			t.Errorf("%q: %q, %q", c.said, en, zh)
		}
	}
}

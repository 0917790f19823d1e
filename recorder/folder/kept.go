package folder

import (
	"encoding/json"
	"fmt"
	"time"

	"tongxiang/internal/store"
)

// maxText bounds the text that a manifest keeps for the search.
const maxText = 256 << 10

// Kept is the library's section of a manifest: what people decided about a recording,
// and what was said in it, so that a library made anew from folders knows it.
type Kept struct {
	Retention string          `json:"retention,omitempty"` // see [store.Recording]
	Expires   *time.Time      `json:"expires,omitempty"`   // with retention "date"
	Hold      bool            `json:"hold,omitempty"`
	Deleted   *time.Time      `json:"deleted,omitempty"` // in the recycle bin since
	People    []string        `json:"people,omitempty"`
	Units     []string        `json:"units,omitempty"`
	Chapters  []store.Chapter `json:"chapters,omitempty"`
	Text      string          `json:"text,omitempty"` // chat, captions, programme guide
}

// Kept returns the library's section; one that cannot be read is empty.
func (m Manifest) Kept() Kept {
	var k Kept
	if len(m.Library) > 0 && json.Unmarshal(m.Library, &k) != nil {
		return Kept{}
	}
	return k
}

// Keep sets the library's section.
func (m *Manifest) Keep(k Kept) error {
	if len(k.Text) > maxText {
		k.Text = k.Text[:maxText] // JSON replaces half a character
	}
	b, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep what the library knows: %w", err)
	}
	m.Library = b
	return nil
}

package server

import (
	"context"
	"time"

	"tongxiang/internal/api"
	"tongxiang/internal/store"
)

// closedMeetings ends meetings in which nobody can sit yet: this node has no
// media for them.
type closedMeetings struct{ store *store.Store }

// Live returns nobody.
func (closedMeetings) Live(string) []api.Participant { return nil }

// End closes the meeting in the store.
func (c closedMeetings) End(ctx context.Context, id string) error {
	m, err := c.store.Meeting(ctx, id)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	m.Closed = &now
	return c.store.UpdateMeeting(ctx, m)
}

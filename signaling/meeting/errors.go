package meeting

import (
	"errors"
	"fmt"
)

// Errors of [State.Apply]. They are answers to people, so each has a code in
// docs/protocol.md.
var (
	ErrEnded               = errors.New("the meeting has ended")
	ErrFull                = errors.New("the meeting is full")
	ErrParticipantNotFound = errors.New("no such participant")
	ErrMutedByChair        = errors.New("muted by the chair")
	ErrScreenTaken         = errors.New("somebody else shares the screen")
	ErrLastChair           = errors.New("a meeting keeps a chair")
)

// NotAllowed says that a command needs a higher role.
type NotAllowed struct{ Need Role }

// Error says which role is needed.
func (e NotAllowed) Error() string { return fmt.Sprintf("not allowed: needs %s", e.Need) }

// Invalid says that a command has a value out of bounds.
type Invalid struct{ What string }

// Error says which value.
func (e Invalid) Error() string { return "invalid: " + e.What }

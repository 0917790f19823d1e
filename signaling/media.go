package signaling

import "tongxiang/signaling/meeting"

// Media is the media side of one meeting: it does what the room decides and says
// what it notices. Methods must not block; all are called by the room's goroutine.
// internal/server makes one of an sfu room.
type Media interface {
	// SetMuted closes or opens a participant's sound at the door.
	SetMuted(participant meeting.ID, muted bool)
	// Assign says what each video slot of a viewer shows.
	Assign(viewer meeting.ID, slots []meeting.Assignment)
	// CloseParticipant ends all connections of a participant.
	CloseParticipant(participant meeting.ID)
	// Events returns what happens, in order. It is the same channel each time.
	Events() <-chan MediaEvent
}

// MediaEvent is one of the types below.
type MediaEvent any

// What media notices.
type (
	// PublisherUp: media of a participant arrives; again when its tracks change.
	PublisherUp struct {
		Participant meeting.ID
		Video       bool // it sends a picture of a camera
	}
	// PublisherDown: it no longer does.
	PublisherDown struct{ Participant meeting.ID }
	// ViewerUp: a participant watches, with so many slots.
	ViewerUp struct {
		Participant            meeting.ID
		VideoSlots, AudioSlots int
	}
	// ViewerDown: it no longer does.
	ViewerDown struct{ Participant meeting.ID }
	// Speaking: who is heard, loudest first.
	Speaking struct{ Participants []meeting.ID }
	// AudioChanged: who is in each audio slot of a viewer; empty for an empty one.
	AudioChanged struct {
		Viewer meeting.ID
		Slots  []meeting.ID
	}
	// VideoChanged: the picture in a video slot of a viewer is now this one.
	VideoChanged struct {
		Viewer      meeting.ID
		Slot        int
		Participant meeting.ID
		Label       string
		Layer       int
	}
	// LayersWanted: which simulcast layers of a publisher somebody watches.
	LayersWanted struct {
		Participant meeting.ID
		RIDs        []string
	}
)

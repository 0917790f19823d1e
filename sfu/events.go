package sfu

import "tongxiang/internal/stream"

// RoomEvent is something that happened in a room: one of the types below. The
// slices in it belong to the receiver.
type RoomEvent interface{ roomEvent() }

// What happens in a room.
type (
	// PublisherUp: a participant publishes, or its tracks or their sizes changed.
	PublisherUp struct {
		Participant string
		Tracks      []stream.TrackInfo // empty until media arrives
	}
	// PublisherDown: it no longer does.
	PublisherDown struct{ Participant string }
	// ViewerUp: a participant's viewer is connected. Video and Audio are the
	// m-line ids (mid) of its slots, in order.
	ViewerUp struct {
		Participant  string
		Video, Audio []string
	}
	// ViewerDown: it no longer is.
	ViewerDown struct{ Participant string }
	// SpeakersChanged: who speaks now, loudest first, three at most; empty in silence.
	SpeakersChanged struct{ Participants []string }
	// AudioSlotsChanged: who is in each audio slot of a viewer; "" for an empty one.
	AudioSlotsChanged struct {
		Viewer       string
		Participants []string
	}
	// VideoSlotChanged: the first packet of this picture went to a video slot of
	// a viewer. Source is empty when the slot is.
	VideoSlotChanged struct {
		Viewer string
		Slot   int
		MID    string
		Source stream.Name
		Label  stream.Label
		Layer  int
		RID    string
	}
	// LayersWanted: the simulcast layers (RFC 8851 rids) of a participant's
	// camera that somebody watches; it may stop to send the others.
	LayersWanted struct {
		Participant string
		RIDs        []string
	}
)

func (PublisherUp) roomEvent()       {}
func (PublisherDown) roomEvent()     {}
func (ViewerUp) roomEvent()          {}
func (ViewerDown) roomEvent()        {}
func (SpeakersChanged) roomEvent()   {}
func (AudioSlotsChanged) roomEvent() {}
func (VideoSlotChanged) roomEvent()  {}
func (LayersWanted) roomEvent()      {}

package meeting

// What each event does to the state. No rule is decided here: whatever the log
// says has happened.

func (b Joined) replay(s *State, e Event) {
	p := b.Participant
	p.Epoch = e.Seq
	s.remove(p.ID)
	s.speaks(p.User)
	s.Participants = append(s.Participants, p)
}

func (b Left) replay(s *State, _ Event) { s.remove(b.Participant) }

func (b Disconnected) replay(s *State, e Event) {
	if p := s.Find(b.Participant); p != nil {
		p.Connected, p.CutAt = false, e.At
	}
}

func (b Resumed) replay(s *State, _ Event) {
	if p := s.Find(b.Participant); p != nil {
		p.Connected, p.CutAt = true, Time{}
	}
}

func (b Muted) replay(s *State, _ Event) {
	if p := s.Find(b.Participant); p != nil {
		p.Muted, p.MutedByChair = b.Muted, b.MutedByChair
	}
}

func (b UnmuteRequested) replay(s *State, _ Event) {
	if p := s.Find(b.Participant); p != nil {
		p.MutedByChair = false
	}
}

func (b MutedAll) replay(s *State, _ Event) {
	s.MuteAll, s.SelfUnmute = b.Muted, b.SelfUnmute
	if !b.Muted || b.SelfUnmute {
		s.Silenced = nil
	}
	for i := range s.Participants {
		p := &s.Participants[i]
		switch {
		case !b.Muted:
			p.MutedByChair = false
		case p.Role != Chair:
			p.Muted, p.MutedByChair = true, !b.SelfUnmute
		}
	}
}

func (b CameraSwitched) replay(s *State, _ Event) {
	if p := s.Find(b.Participant); p != nil {
		p.Camera = b.On
	}
}

func (b ScreenSwitched) replay(s *State, _ Event) {
	p := s.Find(b.Participant)
	if p == nil {
		return
	}
	p.Screen = b.On
	switch {
	case b.On:
		s.Screen = b.Participant
	case s.Screen == b.Participant:
		s.Screen = ""
	}
}

func (b HandMoved) replay(s *State, e Event) {
	s.lowerHand(b.Participant)
	if p := s.Find(b.Participant); p != nil && b.Raised {
		p.Hand, p.HandAt = true, e.At
		s.Hands = append(s.Hands, b.Participant)
	}
}

func (b Said) replay(s *State, e Event) {
	s.Chat = append(s.Chat, ChatLine{Seq: e.Seq, At: e.At, From: b.From, Name: b.Name, Text: b.Text})
	if over := len(s.Chat) - ChatTail; over > 0 {
		s.Chat = append([]ChatLine{}, s.Chat[over:]...)
	}
}

func (b RoleGiven) replay(s *State, _ Event) {
	p := s.Find(b.Participant)
	if p == nil {
		return
	}
	p.Role = b.Role
	switch b.Role {
	case Chair:
		p.MutedByChair = false
	case Member:
		if s.MuteAll {
			p.Muted, p.MutedByChair = true, !s.SelfUnmute
		}
	case Viewer:
		p.Muted, p.MutedByChair, p.Camera, p.Screen = true, false, false, false
		if s.Screen == p.ID {
			s.Screen = ""
		}
		s.lowerHand(p.ID)
	}
}

func (b PublishingChanged) replay(s *State, _ Event) {
	if p := s.Find(b.Participant); p != nil {
		p.Publishing = b.On
	}
}

func (MeetingEnded) replay(s *State, _ Event) {
	s.Ended = true
	s.Participants, s.Hands, s.Screen = []Participant{}, []ID{}, ""
}

func (Restarted) replay(s *State, e Event) {
	var encoders []ID
	for i := range s.Participants {
		p := &s.Participants[i]
		if p.Encoder {
			encoders = append(encoders, p.ID)
		}
		p.Connected, p.Publishing, p.CutAt = false, false, e.At
	}
	for _, id := range encoders {
		s.remove(id)
	}
}

package meeting

// Role is what a participant may do in a meeting. The zero value may do nothing.
type Role string

// The roles, from the most to the least.
const (
	Chair  Role = "chair"  // 主席: runs the meeting
	Member Role = "member" // 会场: speaks, shows, shares
	Viewer Role = "viewer" // 收看: sees and hears, may ask to speak
)

func (r Role) rank() int {
	switch r {
	case Chair:
		return 3
	case Member:
		return 2
	case Viewer:
		return 1
	}
	return 0
}

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r.rank() > 0 }

// AtLeast reports whether r may do what need may do.
func (r Role) AtLeast(need Role) bool { return r.rank() >= need.rank() && r.Valid() }

// RoleOf returns the role with which an account of a given role enters a meeting;
// empty for a role that may not enter.
func RoleOf(account string) Role {
	switch account {
	case "administrator", "operator", "chair":
		return Chair
	case "member":
		return Member
	case "viewer", "kiosk":
		return Viewer
	}
	return ""
}

// right is something that needs a role.
type right string

// The rights. Later controls add theirs here and in least.
const (
	raiseHand   right = "hand"
	speak       right = "mute"
	showCamera  right = "camera"
	shareScreen right = "screen"
	chat        right = "chat"
	muteOthers  right = "mute others"
	stopShare   right = "stop another's screen"
	lowerOthers right = "lower another's hand"
	giveRoles   right = "role"
	endMeeting  right = "end"
)

// least returns the least role that has a right (docs/protocol.md, section 5).
func least(what right) Role {
	switch what {
	case raiseHand:
		return Viewer
	case speak, showCamera, shareScreen, chat:
		return Member
	}
	return Chair
}

// may returns the participant if it has the right.
func (s *State) may(by ID, what right) (*Participant, error) {
	p := s.Find(by)
	if p == nil {
		return nil, ErrParticipantNotFound
	}
	if need := least(what); !p.Role.AtLeast(need) {
		return nil, NotAllowed{Need: need}
	}
	return p, nil
}

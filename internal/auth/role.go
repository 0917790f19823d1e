package auth

import (
	"strings"

	"tongxiang/internal/stream"
)

// Role is what somebody is at this site. Who chairs which meeting is the meeting's affair.
type Role string

// The roles.
const (
	Administrator Role = "administrator" // accounts, tokens, audit and everything else
	Operator      Role = "operator"      // channels, recordings, kiosks, meetings
	Chair         Role = "chair"         // convenes meetings
	Member        Role = "member"        // takes part in meetings
	Viewer        Role = "viewer"        // watches
	Kiosk         Role = "kiosk"         // a screen in a hall
)

// Roles lists them, the mightiest first.
func Roles() []Role { return []Role{Administrator, Operator, Chair, Member, Viewer, Kiosk} }

// Valid reports whether r is one of [Roles].
func (r Role) Valid() bool {
	_, ok := rules[r]
	return ok
}

// Action is something a principal may or may not do.
type Action string

// The actions. Those marked * are about a stream: pass its name to [Principal.May].
const (
	Watch            Action = "watch"             // * watch a channel, a participant or a programme
	Publish          Action = "publish"           // * send media
	SeeMeetings      Action = "see_meetings"      // list and look
	ManageMeetings   Action = "manage_meetings"   // create, change, end, delete
	ControlMeeting   Action = "control_meeting"   // * sit in any meeting as its chair
	SeeChannels      Action = "see_channels"      // list and look
	ManageChannels   Action = "manage_channels"   // add, change, remove
	SeeRecordings    Action = "see_recordings"    // * list, play, download
	ManageRecordings Action = "manage_recordings" // * start and stop
	DeleteRecordings Action = "delete_recordings" // * for ever
	ManageSchedules  Action = "manage_schedules"  // see, plan, change, remove
	KeepShiftLog     Action = "keep_shift_log"    // read and write
	ManageUsers      Action = "manage_users"
	ManageDevices    Action = "manage_devices" // kiosks
	IssueTokens      Action = "issue_tokens"
	ReadAudit        Action = "read_audit"
)

// reach is how far a role's permission goes.
type reach uint8

const (
	nowhere  reach = iota
	anywhere       // every stream
	meetings       // streams of meetings
	onAir          // channels and programmes of meetings, not single participants
)

// rules is the whole of who may do what; what is not here is forbidden.
var rules = map[Role]map[Action]reach{
	Administrator: {
		Watch: anywhere, Publish: anywhere, SeeMeetings: anywhere, ManageMeetings: anywhere, ControlMeeting: anywhere,
		SeeChannels: anywhere, ManageChannels: anywhere, SeeRecordings: anywhere, ManageRecordings: anywhere,
		DeleteRecordings: anywhere, ManageSchedules: anywhere, KeepShiftLog: anywhere, ManageUsers: anywhere, ManageDevices: anywhere, IssueTokens: anywhere, ReadAudit: anywhere,
	},
	Operator: {
		Watch: anywhere, Publish: anywhere, SeeMeetings: anywhere, ManageMeetings: anywhere, ControlMeeting: anywhere,
		SeeChannels: anywhere, ManageChannels: anywhere, SeeRecordings: anywhere, ManageRecordings: anywhere,
		DeleteRecordings: anywhere, ManageSchedules: anywhere, KeepShiftLog: anywhere, ManageDevices: anywhere,
	},
	Chair: {
		Watch: anywhere, Publish: meetings, SeeMeetings: anywhere, ManageMeetings: anywhere,
		SeeChannels: anywhere, SeeRecordings: anywhere, ManageRecordings: meetings,
	},
	Member: {
		Watch: anywhere, Publish: meetings, SeeMeetings: anywhere, SeeChannels: anywhere, SeeRecordings: anywhere,
	},
	Viewer: {Watch: anywhere, SeeMeetings: anywhere, SeeChannels: anywhere, SeeRecordings: anywhere},
	Kiosk:  {Watch: onAir, SeeMeetings: anywhere, SeeChannels: anywhere},
}

// aboutStream are the actions that can be done within the scope of a token.
var aboutStream = map[Action]bool{
	Watch: true, Publish: true, ControlMeeting: true, SeeRecordings: true, ManageRecordings: true, DeleteRecordings: true,
}

// May reports whether p may do a. name is the stream it is done to; empty when a
// is not about one, or to ask whether p may do it to any stream at all. A
// principal with a scope may only do what is about a stream inside it.
func (p Principal) May(a Action, name stream.Name) bool {
	if !rules[p.Role][a].covers(name) {
		return false
	}
	if p.Stream == "" {
		return true
	}
	return aboutStream[a] && name != "" && Within(name, p.Stream)
}

// Within reports whether name is scope or below it, by whole segments:
// meetings/42/li is within meetings/42, meetings/421 is not.
func Within(name stream.Name, scope string) bool {
	rest, ok := strings.CutPrefix(string(name), scope)
	return ok && (rest == "" || rest[0] == '/')
}

func (r reach) covers(name stream.Name) bool {
	if name == "" {
		return r != nowhere
	}
	seg := name.Segments()
	switch r {
	case anywhere:
		return true
	case meetings:
		return seg[0] == "meetings"
	case onAir:
		return seg[0] == "channels" || seg[0] == "meetings" && len(seg) > 2 && seg[2] == stream.ProgrammeID
	case nowhere:
		return false
	}
	return false
}

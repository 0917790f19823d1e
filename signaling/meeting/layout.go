package meeting

// Labels of what a slot can show of a participant; those of the hub's tracks.
const (
	LabelVideo  = "video"
	LabelScreen = "screen"
)

// Want is what a viewer asks of one slot.
type Want struct {
	Slot        int
	Participant ID     // empty: automatic
	Label       string // with Participant: [LabelVideo] or [LabelScreen]
	Height      int    // of the tile in device pixels; 0: not visible
}

// Assignment is what one slot shows. An empty Participant is an empty slot.
type Assignment struct {
	Slot        int
	Participant ID
	Label       string
	MaxHeight   int
}

// Heights of tiles about which the page has said nothing.
const (
	MainHeight = 720 // of slot 0
	TileHeight = 360
)

// View is one viewer's wish.
type View struct {
	Viewer ID
	Slots  int    // how many video slots there are
	Wants  []Want // others are automatic, with the default height
}

// Layout says what each slot of a viewer shows. It is pure, and sticky: who is in
// an automatic slot in prev stays there if possible, because a tile that moves is
// a switch of the picture.
//
// The first automatic slot has the shared screen; without one, the speaker.
// Then come those who have their camera on, in joining order. Nobody sees
// himself, and nobody is shown twice by the automatic slots.
func Layout(s *State, speaker ID, v View, prev []Assignment) []Assignment {
	out := make([]Assignment, v.Slots)
	auto, shown := s.placeWanted(v, out)
	screen := s.Screen
	if screen == v.Viewer {
		screen = ""
	}
	if screen != "" && len(auto) > 0 {
		out[auto[0]].Participant, out[auto[0]].Label = screen, LabelScreen
		auto = auto[1:]
	}
	before := make(map[ID]int, len(prev)) // the automatic slot of each
	for _, a := range prev {
		if a.Participant != "" && a.Label == LabelVideo {
			for _, i := range auto {
				if i == a.Slot {
					before[a.Participant] = i
				}
			}
		}
	}
	chosen := s.choose(v.Viewer, speaker, len(auto), shown, before)
	if len(auto) == 0 {
		return out
	}
	place := func(i int, id ID) { out[i].Participant, out[i].Label = id, LabelVideo }
	if screen == "" && len(chosen) > 0 {
		i := front(chosen, speaker, before, auto[0])
		place(auto[0], chosen[i])
		chosen = append(chosen[:i:i], chosen[i+1:]...)
	}
	var homeless []ID
	for _, id := range chosen {
		if i, ok := before[id]; ok && out[i].Participant == "" {
			place(i, id)
		} else {
			homeless = append(homeless, id)
		}
	}
	for _, i := range auto {
		if out[i].Participant == "" && len(homeless) > 0 {
			place(i, homeless[0])
			homeless = homeless[1:]
		}
	}
	return out
}

// front returns which of the chosen gets the first automatic slot: the speaker,
// else who is there already, else the first.
func front(chosen []ID, speaker ID, before map[ID]int, slot int) int {
	for i, id := range chosen {
		if id == speaker {
			return i
		}
	}
	for i, id := range chosen {
		if at, ok := before[id]; ok && at == slot {
			return i
		}
	}
	return 0
}

// placeWanted fills the slots for which the viewer named somebody and returns the
// visible automatic ones, and who need not be shown again.
func (s *State) placeWanted(v View, out []Assignment) (auto []int, shown map[ID]bool) {
	shown = make(map[ID]bool)
	wants := make(map[int]Want, len(v.Wants))
	for _, w := range v.Wants {
		wants[w.Slot] = w
	}
	for i := range out {
		out[i] = Assignment{Slot: i, MaxHeight: TileHeight}
		if i == 0 {
			out[i].MaxHeight = MainHeight
		}
		w, said := wants[i]
		if said {
			out[i].MaxHeight = w.Height
		}
		switch {
		case out[i].MaxHeight <= 0:
		case w.Participant == "":
			auto = append(auto, i)
		case w.Label == LabelScreen && s.Screen == w.Participant:
			out[i].Participant, out[i].Label = w.Participant, LabelScreen
		case w.Label != LabelScreen && s.visible(w.Participant):
			out[i].Participant, out[i].Label = w.Participant, LabelVideo
			shown[w.Participant] = true
		}
	}
	return auto, shown
}

// visible reports whether a participant sends a picture of the camera.
func (s *State) visible(id ID) bool {
	p := s.Find(id)
	return p != nil && p.Camera && p.Publishing
}

// choose returns at most n participants for the automatic slots: the speaker
// first, then those who are shown already, then the others, in joining order.
func (s *State) choose(viewer, speaker ID, n int, shown map[ID]bool, before map[ID]int) []ID {
	var first, stay, more []ID
	for i := range s.Participants {
		p := &s.Participants[i]
		if p.ID == viewer || shown[p.ID] || !p.Camera || !p.Publishing {
			continue
		}
		_, was := before[p.ID]
		switch {
		case p.ID == speaker:
			first = append(first, p.ID)
		case was:
			stay = append(stay, p.ID)
		default:
			more = append(more, p.ID)
		}
	}
	all := append(append(first, stay...), more...)
	return all[:min(n, len(all))]
}

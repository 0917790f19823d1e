package scheduler

import (
	"testing"
	"time"

	"tongxiang/internal/store"
)

func TestAnEventThatMovesBeforehandIsFollowed(t *testing.T) {
	bubble(t, clockTime(18, 40), func(r *rig) {
		r.event(7, "联播", clockTime(19, 0), clockTime(19, 30), 1)
		r.start()
		r.rule("事", clockTime(19, 0), clockTime(19, 30), ofEvent(7))
		r.until(18, 50)
		r.event(7, "新闻联播", clockTime(19, 15), clockTime(19, 45), 1)
		r.until(20, 0)
		r.saw("19:13:00 r1 begin 新闻联播", "19:50:00 r1 end")
		r.became("19:15 新闻联播 done r1")
	})
}

func TestAnEventThatMovesInItsCourseIsRecordedWhole(t *testing.T) {
	bubble(t, clockTime(18, 50), func(r *rig) {
		r.event(7, "联播", clockTime(19, 0), clockTime(19, 30), 1)
		r.start()
		r.rule("事", clockTime(19, 0), clockTime(19, 30), ofEvent(7))
		r.until(19, 5)
		r.event(7, "联播", clockTime(19, 15), clockTime(19, 45), 1)
		r.until(19, 15)
		r.event(7, "联播", clockTime(19, 15), clockTime(19, 45), 4)
		r.until(20, 0) // it still runs
		r.saw("18:58:00 r1 begin 联播")
		r.event(7, "联播", clockTime(19, 15), clockTime(19, 45), 1)
		r.until(20, 1)
		r.saw("20:00:01 r1 end")
		r.became("19:15 联播 done r1")
	})
}

func TestABreakForTheNewsEndsNothing(t *testing.T) {
	bubble(t, clockTime(17, 50), func(r *rig) {
		r.event(7, "电影", clockTime(18, 0), clockTime(19, 0), 1)
		r.start()
		r.rule("事", clockTime(18, 0), clockTime(19, 0), ofEvent(7))
		r.until(18, 1)
		r.event(7, "电影", clockTime(18, 0), clockTime(19, 0), 4)
		r.until(18, 50)
		r.event(7, "电影", clockTime(18, 0), clockTime(19, 0), 3)
		r.event(8, "新闻", clockTime(18, 50), clockTime(19, 20), 4)
		r.until(19, 20)
		r.event(7, "电影", clockTime(18, 0), clockTime(19, 0), 4)
		r.until(19, 31)
		r.event(7, "电影", clockTime(18, 0), clockTime(19, 0), 1)
		r.until(19, 40)
		r.saw("17:58:00 r1 begin 电影", "19:31:01 r1 end")
	})
}

func TestAProgrammeThatBeginsEarlyIsBegunAtOnce(t *testing.T) {
	bubble(t, clockTime(18, 30), func(r *rig) {
		r.event(7, "球", clockTime(19, 0), clockTime(20, 0), 1)
		r.start()
		r.rule("事", clockTime(19, 0), clockTime(20, 0), ofEvent(7))
		r.until(18, 40)
		r.event(7, "球", clockTime(19, 0), clockTime(20, 0), 4)
		r.until(20, 10)
		r.saw("18:40:01 r1 begin 球 pre-roll 1m0s") // and it runs still
		r.with(func() { r.dark["channels/a"] = true })
		r.until(20, 11)
		r.saw("20:10:01 r1 end") // of a source that is gone nobody knows that it runs
	})
}

func TestAnEventThatVanishesIsRecordedAtItsTimeKnownLast(t *testing.T) {
	bubble(t, clockTime(17, 50), func(r *rig) {
		r.event(7, "联播", clockTime(19, 0), clockTime(19, 30), 1)
		r.start()
		r.rule("事", clockTime(19, 0), clockTime(19, 30), ofEvent(7))
		r.until(18, 0)
		r.event(7, "联播", clockTime(19, 10), clockTime(19, 40), 1)
		r.until(18, 30)
		r.gonePast(7)
		r.event(99, "别的", clockTime(22, 0), clockTime(23, 0), 1) // something changed on the channel
		r.until(20, 0)
		r.saw("19:08:00 r1 begin 事", "19:45:00 r1 end")
	})
}

func TestAnEventUnderAnotherIDIsTheSameRecording(t *testing.T) {
	for name, rule := range map[string]func(*store.Schedule){
		"one event": ofEvent(7),
		"a title": func(x *store.Schedule) {
			x.Start, x.End, x.Stream, x.Series = nil, nil, "", &store.Series{Title: "联播"}
			x.PaddingBefore, x.PaddingAfter = 2*time.Minute, 5*time.Minute
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, clockTime(18, 50), func(r *rig) {
				r.event(7, "联播", clockTime(19, 0), clockTime(19, 30), 1)
				r.start()
				r.rule("事", clockTime(19, 0), clockTime(19, 30), rule)
				r.until(19, 5)
				r.gonePast(7)
				r.event(8, "联播", clockTime(19, 5), clockTime(19, 45), 4)
				r.until(19, 46)
				r.event(8, "联播", clockTime(19, 5), clockTime(19, 45), 1)
				r.until(20, 30)
				r.saw("18:58:00 r1 begin 联播", "19:50:00 r1 end")
				r.became("19:05 联播 done r1")
			})
		})
	}
}

func TestAnEventThatIsPutOffIsBegunAnew(t *testing.T) {
	bubble(t, clockTime(13, 50), func(r *rig) {
		r.event(7, "球", clockTime(14, 0), clockTime(15, 0), 1)
		r.start()
		r.rule("事", clockTime(14, 0), clockTime(15, 0), ofEvent(7))
		r.until(14, 10)
		r.event(7, "球", clockTime(17, 0), clockTime(18, 0), 1)
		r.until(18, 10)
		r.saw("13:58:00 r1 begin 球", "14:10:01 r1 end", "16:58:00 r2 begin 球", "18:05:00 r2 end")
		r.became("17:00 球 done r1,r2")
	})
}

func TestASeriesRecordsNewEpisodesOnceEachWhereverTheyAre(t *testing.T) {
	bubble(t, clockTime(6, 50), func(r *rig) {
		r.start()
		r.rule("小麦", zero, zero, func(x *store.Schedule) {
			x.Start, x.End, x.Stream, x.Series = nil, nil, "", &store.Series{Title: "小麦栽培", Duplicates: "skip_recorded"}
		})
		r.until(7, 0)
		r.event(1, "小麦栽培 第1集", clockTime(8, 0), clockTime(8, 30), 1)
		r.put(store.EPGEvent{Channel: "b", ID: 1, Title: "小麦栽培(1)", Start: clockTime(9, 0), End: clockTime(9, 30)})
		r.put(store.EPGEvent{Channel: "b", ID: 2, Title: "小麦栽培(2)", Start: clockTime(10, 0), End: clockTime(10, 30)})
		r.put(store.EPGEvent{Channel: "b", ID: 3, Title: "水稻栽培(2)", Start: clockTime(11, 0), End: clockTime(11, 30)})
		r.until(12, 0)
		r.saw("08:00:00 r1 begin 小麦栽培 第1集", "08:30:00 r1 end", "10:00:00 r2 begin 小麦栽培(2)", "10:30:00 r2 end")
		// Next week the broadcaster uses the ids again, for other episodes.
		week := 7 * 24 * time.Hour
		r.event(1, "小麦栽培 第3集", clockTime(8, 0).Add(week), clockTime(8, 30).Add(week), 1)
		r.put(store.EPGEvent{Channel: "b", ID: 2, Title: "小麦栽培(2)", Start: clockTime(10, 0).Add(week), End: clockTime(10, 30).Add(week)})
		r.s.Close() // so that the week passes quickly
		<-time.After(week - 5*time.Hour)
		r.start()
		r.until(7*24+12, 0)
		r.saw("08:00:00 r3 begin 小麦栽培 第3集", "08:30:00 r3 end")
	})
}

func TestAnEpisodeThatTheGuideTakesOutIsNotRecorded(t *testing.T) {
	bubble(t, clockTime(6, 50), func(r *rig) {
		r.event(1, "小麦栽培", clockTime(8, 0), clockTime(9, 0), 1)
		r.start()
		r.rule("小麦", zero, zero, func(x *store.Schedule) { x.Start, x.End, x.Series = nil, nil, &store.Series{Title: "小麦栽培"} })
		r.until(7, 0)
		r.gonePast(1)
		r.event(2, "领导讲话", clockTime(8, 0), clockTime(9, 0), 1)
		r.until(10, 0)
		r.saw()
		r.became()
	})
}

package scheduler

import (
	"errors"
	"testing"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

func TestARecordingBeginsAndEndsOnTimeWithItsPadding(t *testing.T) {
	bubble(t, clockTime(9, 47), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), padded(2*time.Minute, 5*time.Minute))
		r.until(9, 57)
		r.saw()
		r.until(11, 10)
		r.saw("09:58:00 r1 begin 课", "11:05:00 r1 end")
		r.became("10:00 课 done r1")
	})
}

func TestADailyRecordingGoesOverMidnight(t *testing.T) {
	bubble(t, clockTime(23, 20), func(r *rig) {
		r.start()
		r.rule("夜", clockTime(23, 30), clockTime(24, 30), func(x *store.Schedule) { x.RRule = "FREQ=DAILY" })
		r.until(24+1, 0)
		r.s.Close() // so that the day passes quickly
		<-time.After(22 * time.Hour)
		r.start()
		r.until(48+1, 0)
		r.saw("23:30:00 r1 begin 夜", "00:30:00 r1 end", "23:30:00 r2 begin 夜", "00:30:00 r2 end")
	})
}

func TestWhatRunsSurvivesARestart(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 20)
		r.kill()
		r.until(10, 21)
		r.start() // and goes on at once
		r.saw("10:00:00 r1 begin 课", "10:20:00 killed", "10:21:00 r2 begin 课")
		r.until(11, 1)
		r.saw("11:00:00 r2 end")
		r.became("10:00 课 done(interrupted) r1,r2")
		r.s.Close()
		r.start()
		r.until(12, 0)
		r.saw()
	})
}

func TestWhatEndedWhileTheServerWasDownIsNotBegunAgain(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 20)
		r.kill()
		r.until(11, 30)
		r.start()
		r.until(11, 31)
		r.saw("10:00:00 r1 begin 课", "10:20:00 killed")
		r.became("10:00 课 done(interrupted) r1")
	})
}

func TestStartsThatWereMissedAreReportedOnceWithTheReason(t *testing.T) {
	bubble(t, clockTime(6, 50), func(r *rig) {
		r.start()
		r.rule("早", clockTime(8, 0), clockTime(9, 0), func(x *store.Schedule) { x.RRule = "FREQ=DAILY" })
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.rule("小麦", zero, zero, func(x *store.Schedule) {
			x.Start, x.End, x.Stream, x.Series = nil, nil, "", &store.Series{Title: "小麦"}
		})
		r.event(7, "小麦(1)", clockTime(8, 30), clockTime(9, 30), 0)
		r.until(7, 0)
		r.kill()
		r.until(10, 15)
		r.start()
		r.saw("07:00:00 killed", "10:15:00 r1 begin 课 pre-roll 1m0s")
		r.until(11, 1)
		r.saw("11:00:00 r1 end")
		want := []string{"08:00 早 missed(server_was_down)", "08:30 小麦(1) missed(server_was_down)", "10:00 课 done(began_late) r1"}
		r.became(want...)
		r.s.Close()
		r.start()
		r.became(want...)
		if n := r.s.Stats().Missed; n != 0 {
			t.Errorf("%d are reported again", n)
		}
	})
}

func TestANewRuleMissedNothingBeforeItWasMade(t *testing.T) {
	bubble(t, clockTime(7, 50), func(r *rig) {
		r.start()
		r.until(12, 0)
		r.rule("早", clockTime(8, 0), clockTime(9, 0), func(x *store.Schedule) { x.RRule = "FREQ=DAILY" })
		r.s.Close()
		r.start()
		r.until(13, 0)
		r.became()
	})
}

func TestASourceThatIsGoneIsTheReason(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.rule("空", clockTime(12, 0), clockTime(13, 0), nil)
		r.with(func() { r.gone["channels/a"] = true })
		r.until(11, 30)
		r.with(func() { r.gone["channels/a"], r.dark["channels/a"], r.empty = false, true, true })
		r.until(13, 30)
		r.saw("12:00:00 r1 begin 空", "13:00:00 r1 end")
		r.became("10:00 课 missed(source_gone)", "12:00 空 missed(source_gone) r1")
	})
}

func TestWhatCannotBeginIsTriedAgainAndThenLate(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.rule("满", clockTime(12, 0), clockTime(12, 1), nil)
		r.with(func() { r.fail = errors.New("no") })
		r.until(10, 1)
		r.became("10:00 课 conflict(recording_failed)")
		r.with(func() { r.fail, r.log = nil, nil })
		r.until(11, 1)
		r.saw("10:01:05 r1 begin 课 pre-roll 1m0s", "11:00:00 r1 end")
		r.became("10:00 课 done(began_late) r1")
		r.with(func() { r.fail = errDiskFull })
		r.until(12, 2)
		r.became("10:00 课 done(began_late) r1", "12:00 满 missed(no_disk_space)")
	})
}

func TestARecordingThatFailsIsBegunAgain(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 20)
		r.with(func() { r.ended("r1", store.RecordingFailed) })
		r.until(11, 1)
		r.saw("10:00:00 r1 begin 课", "10:20:06 r2 begin 课", "11:00:00 r2 end")
		r.became("10:00 课 done(interrupted) r1,r2")
	})
}

func TestWhatSomebodyStoppedStaysStopped(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 20)
		r.with(func() { r.ended("r1", store.RecordingComplete) })
		r.until(11, 1)
		r.saw("10:00:00 r1 begin 课")
		r.became("10:00 课 done(stopped) r1")
	})
}

func TestARuleThatIsRemovedOrSwitchedOffEndsItsRecording(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("删", clockTime(10, 0), clockTime(11, 0), nil)
		r.rule("停", clockTime(10, 1), clockTime(11, 0), nil)
		r.until(10, 20)
		if !r.s.Recording("删") || r.s.Recording("x") {
			t.Error("not said to record")
		}
		x, err := r.st.Schedule(r.t.Context(), "停")
		if err != nil {
			t.Fatal(err)
		}
		x.Enabled = false
		if err := errors.Join(r.st.DeleteSchedule(r.t.Context(), "删"), r.st.UpdateSchedule(r.t.Context(), x)); err != nil {
			t.Fatal(err)
		}
		r.s.Changed()
		r.until(11, 1)
		r.became("10:00 删 done(schedule_removed) r1", "10:01 停 done(schedule_removed) r2")
		if r.s.Recording("删") {
			t.Error("still said to record")
		}
	})
}

func TestARecordingThatIsToEndEnds(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 20)
		r.s.End("课")
		r.until(11, 1)
		r.saw("10:00:00 r1 begin 课", "10:20:00 r1 end")
		r.became("10:00 课 done(stopped) r1")
	})
}

func TestPaddingOfOneDayReachesIntoTheNext(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("长", clockTime(10, 0), clockTime(33, 58), func(x *store.Schedule) {
			x.RRule, x.PaddingBefore, x.PaddingAfter = "FREQ=DAILY;COUNT=2", 5*time.Minute, 5*time.Minute
		})
		r.until(34, 10)
		r.saw("09:55:00 r1 begin 长", "09:55:00 r2 begin 长", "10:03:00 r1 end")
	})
}

func TestTheEndIsStretchedInTheCourse(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 50)
		x, err := r.st.Schedule(r.t.Context(), "课")
		if err != nil {
			t.Fatal(err)
		}
		end := clockTime(11, 30)
		x.End, x.PaddingAfter, x.Changed = &end, time.Minute, r.wall()
		if err := r.st.UpdateSchedule(r.t.Context(), x); err != nil {
			t.Fatal(err)
		}
		r.s.Changed()
		r.until(12, 0)
		r.saw("10:00:00 r1 begin 课", "11:31:00 r1 end")
	})
}

func TestAClockSetBackRecordsNothingTwiceAndStopsNothing(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("甲", clockTime(10, 0), clockTime(10, 30), nil)
		r.rule("乙", clockTime(10, 30), clockTime(11, 30), nil)
		r.until(10, 45)
		r.set(-time.Hour)
		r.until(12, 0)
		r.saw("10:00:00 r1 begin 甲", "10:30:00 r1 end", "10:30:00 r2 begin 乙", "09:45:00 clock set by -1h0m0s", "11:30:00 r2 end")
		r.became("10:00 甲 done r1", "10:30 乙 done r2")
	})
}

func TestAClockSetBackByAYearKeepsNothingGoingForAYear(t *testing.T) {
	bubble(t, clockTime(0, 0), func(r *rig) {
		<-time.After(400 * 24 * time.Hour)
		r.start()
		from := r.wall().Add(time.Hour)
		r.rule("甲", from, from.Add(time.Hour), nil)
		<-time.After(90 * time.Minute)
		r.set(-365 * 24 * time.Hour)
		<-time.After(4 * time.Hour)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.running) != 0 || r.serial != 1 {
			t.Errorf("%d run, %d were begun: %q", len(r.running), r.serial, r.log)
		}
	})
}

func TestAClockSetForwardOverAStartIsTheReason(t *testing.T) {
	bubble(t, clockTime(9, 40), func(r *rig) {
		r.start()
		r.rule("短", clockTime(10, 0), clockTime(10, 30), nil)
		r.rule("长", clockTime(10, 0), clockTime(12, 0), nil)
		r.until(9, 50)
		r.set(time.Hour)
		r.until(12, 1)
		r.saw("10:50:00 clock set by 1h0m0s", "10:50:01 r1 begin 长 pre-roll 1m0s", "12:00:00 r1 end")
		r.became("10:00 短 missed(clock_changed)", "10:00 长 done(began_late) r1")
	})
}

func TestAClockSetForwardCutsNothingShort(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("课", clockTime(10, 0), clockTime(11, 0), nil)
		r.until(10, 10)
		r.set(2 * time.Hour)
		r.until(13, 10)
		r.saw("10:00:00 r1 begin 课", "12:10:00 clock set by 2h0m0s", "13:00:00 r1 end")
	})
}

func TestLowerGivesWayWhereTheDiskCannotAndGoesOnAfterwards(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("新闻", clockTime(10, 0), clockTime(12, 0), func(x *store.Schedule) { x.Priority = "news" })
		r.rule("应急", clockTime(10, 30), clockTime(11, 0), func(x *store.Schedule) { x.Priority, x.Stream = "emergency", "channels/b" })
		r.with(func() { r.have = schedule.Capacity{BytesPerSecond: 1 << 20} })
		r.until(12, 1)
		r.saw("10:00:00 r1 begin 新闻", "10:30:00 r1 end", "10:30:00 r2 begin 应急", "11:00:00 r2 end", "11:00:00 r3 begin 新闻", "12:00:00 r3 end")
		r.became("10:00 新闻 done(gave_way) r1,r3", "10:30 应急 done r2")
		rec, err := r.st.Recording(r.t.Context(), "r1")
		if err != nil || rec.Reason != "gave_way" {
			t.Errorf("the recording says %q, %v", rec.Reason, err)
		}
	})
}

func TestWhatFindsNoRoomIsMissedWithWhatHadIt(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		r.rule("会", clockTime(10, 0), clockTime(12, 0), func(x *store.Schedule) { x.Priority = "meeting" })
		r.rule("新闻", clockTime(10, 30), clockTime(11, 0), func(x *store.Schedule) { x.Priority, x.Stream = "news", "channels/b" })
		r.with(func() { r.have = schedule.Capacity{BytesPerSecond: 1 << 20} })
		items, err := r.s.Plan(r.t.Context(), zero, zero.Add(24*time.Hour))
		if err != nil || len(items) != 2 || items[1].State != schedule.Conflict || items[1].LostTo == nil || items[1].LostTo.Title != "会" {
			t.Errorf("beforehand: %+v, %v", items, err)
		}
		r.until(11, 1)
		r.became("10:00 会 recording r1", "10:30 新闻 missed(no_disk_speed)")
		row, err := r.st.ScheduleRun(r.t.Context(), "新闻@2000-01-01T10:30:00Z")
		if err != nil || row.LostTo != "会@2000-01-01T10:00:00Z" {
			t.Errorf("lost to %q, %v", row.LostTo, err)
		}
	})
}

func TestSixtyOverlappingRecordingsBeginAndEnd(t *testing.T) {
	bubble(t, clockTime(9, 50), func(r *rig) {
		r.start()
		for i := range 60 {
			from := clockTime(10, 0).Add(time.Duration(i) * time.Second)
			r.rule(time.Duration(i).String(), from, from.Add(time.Hour), padded(time.Minute, time.Minute))
		}
		r.until(10, 30)
		r.with(func() {
			if len(r.running) != 60 || r.serial != 60 {
				t.Errorf("%d run", len(r.running))
			}
		})
		r.until(11, 10)
		rows, err := r.st.ScheduleRuns(r.t.Context(), store.RunFilter{State: "done"}, 0)
		if err != nil || len(rows) != 60 {
			t.Errorf("%d done, %v", len(rows), err)
		}
		for _, x := range rows {
			if x.Reason != "" || len(x.Recordings) != 1 || x.Begun.Sub(x.RecordFrom) > time.Second || x.Ended.Sub(x.RecordTo) > time.Second {
				t.Errorf("%+v", x)
			}
		}
	})
}

package mpegts

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
)

// chineseServices are those of the synthetic multiplexes, from service 101 on.
var chineseServices = [...]string{
	"CCTV-1综合", "CCTV-2财经", "CCTV-3综艺", "CCTV-4中文国际", "CCTV-5体育", "CCTV-6电影", "CCTV-7国防军事",
	"CCTV-8电视剧", "CCTV-9纪录", "CCTV-10科教", "CCTV-11戏曲", "CCTV-12社会与法", "CCTV-13新闻", "CCTV-14少儿",
	"CCTV-15音乐", "CCTV-17农业农村", "中国教育1台", "北京卫视", "天津卫视", "河北卫视", "山西卫视",
	"内蒙古卫视", "辽宁卫视", "吉林卫视", "黑龙江卫视", "东方卫视", "江苏卫视", "浙江卫视",
	"安徽卫视", "东南卫视", "江西卫视", "山东卫视", "河南卫视", "湖北卫视", "湖南卫视",
	"广东卫视", "广西卫视", "海南旅游卫视", "重庆卫视", "四川卫视", "贵州卫视", "云南卫视",
	"西藏卫视", "陕西卫视", "甘肃卫视", "青海卫视", "宁夏卫视", "新疆卫视", "兵团卫视",
}

// TestNamesAndEventsAreRightInEveryWayOfWritingChinese reads the same 49 services and
// their guide in four character tables: what one says all must say, event by event.
func TestNamesAndEventsAreRightInEveryWayOfWritingChinese(t *testing.T) {
	dir := filepath.Join(captures(t), "synthetic")
	titles := map[string]bool{
		"新闻联播": true, "焦点访谈": true, "天气预报": true, "电视剧：大决战(12)": true, "今日说法": true,
		"纪录片《航拍中国》": true, "晚间新闻": true, "星光大道": true, "体育新闻": true, "动画城": true,
	}
	var first map[EventKey]Event
	for _, tc := range []struct{ file, suffix string }{
		{"si_gb2312_0x13.ts", ""}, {"si_gb18030_0x13_rare.ts", "䶮喆堃"}, {"si_utf8_0x15.ts", ""}, {"si_ucs2_0x11.ts", ""},
	} {
		b, err := os.ReadFile(filepath.Join(dir, tc.file))
		if err != nil {
			t.Fatal(err)
		}
		events := make(map[EventKey]Event)
		g := NewGuide(GuideHandler{Event: func(e Event) { events[e.Key] = e }}, "chi")
		sections := make(map[sectionKey]int)
		d := NewDemuxer(Handler{Section: func(pid uint16, s []byte) {
			g.Section(pid, s)
			if pid == pidEIT {
				h := parseHeader(s)
				sections[sectionKey{table: h.table, number: h.number, service: h.ext}]++
			}
		}})
		d.Feed(b, 1)
		d.Flush()
		if s := d.Stats(); s.CRCErrors+s.BadSections+s.Continuity > 0 {
			t.Errorf("%s: %+v", tc.file, s)
		}
		if len(d.Services()) != len(chineseServices) {
			t.Fatalf("%s: %d services", tc.file, len(d.Services()))
		}
		for i, s := range d.Services() {
			provider := "中央电视台"
			if i >= 16 {
				provider = "省级卫视"
			}
			if int(s.ID) != 101+i || s.Name != chineseServices[i]+tc.suffix || s.Provider != provider {
				t.Errorf("%s: service %d %q of %q, want %q of %q", tc.file, s.ID, s.Name, s.Provider, chineseServices[i], provider)
			}
		}
		// Two sections of present and following and eight of schedule for each service,
		// everything twice: 980. A scanner that cannot join a header that lies in two
		// packets finds 966.
		if len(sections) != 49*10 {
			t.Errorf("%s: %d different sections", tc.file, len(sections))
		}
		for k, n := range sections {
			if n != 2 {
				t.Errorf("%s: section %d of table %#x of service %d came %d times", tc.file, k.number, k.table, k.service, n)
			}
		}
		if len(events) != 49*50 {
			t.Errorf("%s: %d events", tc.file, len(events))
		}
		for k, e := range events {
			if !titles[e.Title] || e.Summary == "" || e.Start.Before(time.Date(2025, 11, 21, 0, 0, 0, 0, time.UTC)) || e.Duration < 30*time.Minute {
				t.Fatalf("%s: %+v", tc.file, e)
			}
			if first != nil && first[k] != e {
				t.Fatalf("%s: %+v, in GB 2312 %+v", tc.file, e, first[k])
			}
		}
		if first == nil {
			first = events
		}
	}
}

// TestEverySectionOfTheGuideIsRead compares with counts that were made by hand or by
// other programs.
func TestEverySectionOfTheGuideIsRead(t *testing.T) {
	dir := captures(t)
	for file, want := range map[string]uint64{
		"tsduck__tsduck-test/input_test-030.ts":                                             361, // Canalsat: 303 of them lie across packets
		"tsduck__tsduck-test/reference_test-038_test-038.ts":                                327, // Czech terrestrial
		"tsduck__tsduck-test/reference_test-011_test-011.ts":                                12,
		"petrj__MPEGTS/MPEGTSAnalyzator_TestData.China_stream-2021-10-05-06-36-43.ts":       459,
		"androidx__media/libraries_test_data_src_test_assets_media_ts_sample_ait.ts":        16,
		"petrj__MPEGTS/MPEGTSAnalyzator_TestData.Crete_DIGEA_stream-2023-07-28-16-59-49.ts": 1863, // with 360 packets that are marked bad
	} {
		if r := probeFile(t, filepath.Join(dir, file)); r.SI.EITSections != want {
			t.Errorf("%s: %d sections, want %d", file, r.SI.EITSections, want)
		}
	}
}

// TestAllTablesOfISO8859AreRead writes every character of each table behind its
// selector, short and long, and reads it back.
func TestAllTablesOfISO8859AreRead(t *testing.T) {
	tables := map[int]*charmap.Charmap{
		1: charmap.ISO8859_1, 2: charmap.ISO8859_2, 3: charmap.ISO8859_3, 4: charmap.ISO8859_4, 5: charmap.ISO8859_5,
		6: charmap.ISO8859_6, 7: charmap.ISO8859_7, 8: charmap.ISO8859_8, 9: charmap.ISO8859_9, 10: charmap.ISO8859_10,
		11: charmap.Windows874, 13: charmap.ISO8859_13, 14: charmap.ISO8859_14, 15: charmap.ISO8859_15,
	}
	for n, table := range tables {
		for c := 0xA1; c <= 0xFF; c++ {
			want := string(table.DecodeByte(byte(c)))
			if want == "\uFFFD" || want == "\u00AD" {
				continue
			}
			in := [][]byte{{0x10, 0, byte(n), 'x', byte(c), 'y'}}
			if n >= 5 {
				in = append(in, []byte{byte(n - 4), 'x', byte(c), 'y'})
			}
			for _, b := range in {
				if got := Text(b); got != "x"+want+"y" {
					t.Errorf("ISO 8859-%d %#x: %q, want %q", n, b, got, "x"+want+"y")
				}
			}
		}
	}
}

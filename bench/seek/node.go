package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"tongxiang/configs"
	"tongxiang/internal/jobs"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/server"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
	"tongxiang/recorder/work"
)

// node is a server that has the recording.
type node struct {
	url, id, name, password, cookie string
	server                          *server.Server
	stop                            context.CancelFunc
	done                            chan error
}

func (n *node) close() {
	n.stop()
	if err := errors.Join(<-n.done, n.server.Close()); err != nil {
		log.Print(err)
	}
}

// start makes the recording and a server that finds it in its folders.
func start(ctx context.Context, dir string, length time.Duration) (*node, error) {
	id := "20260301-090000-aaaaaaaa"
	path := filepath.Join(dir, "recordings", "2026", "03", "01", id)
	if err := makeRecording(ctx, path, id, length); err != nil {
		return nil, err
	}
	cfg := configs.Default()
	cfg.Data = dir
	cfg.HTTP.Listen, cfg.HTTPS.Listen = "127.0.0.1:0", ""
	cfg.WebRTC = configs.WebRTC{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Addresses: []string{"127.0.0.1"}}
	cfg.RTSP.Listen, cfg.RTSP.UDP = "", ""
	cfg.Jobs.Low = false // it is there; in the quiet hours it would be made anew while jumps are measured
	s, err := server.New(ctx, cfg, "bench", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	n := &node{server: s, id: id, name: s.First.Name, password: s.First.Password, done: make(chan error, 1)}
	serving, stop := context.WithCancel(ctx)
	n.stop = stop
	go func() { n.done <- s.Run(serving) }()
	plain, _ := s.Addresses()
	n.url = "http://" + plain.String()
	body := fmt.Sprintf(`{"name":%q,"password":%q}`, n.name, n.password)
	resp, err := http.Post(n.url+"/api/v1/sessions", "application/json", strings.NewReader(body))
	if err != nil {
		return n, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusCreated {
		return n, fmt.Errorf("sign in: %s %s %w", resp.Status, answer, err)
	}
	for _, c := range resp.Cookies() {
		n.cookie = c.Name + "=" + c.Value
	}
	for { // the library is made anew from the folders
		req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/api/v1/recordings/"+id, nil)
		if err != nil {
			return n, err
		}
		req.Header.Set("Cookie", n.cookie)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return n, err
		}
		if _, err = io.Copy(io.Discard, resp.Body); err != nil {
			return n, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return n, noteLow(ctx, filepath.Join(dir, server.StoreFile), id)
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// noteLow tells the library of the low rendition, as the job that makes one does.
func noteLow(ctx context.Context, path, id string) error {
	db, err := store.Open(ctx, path, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	d := store.Derived{Recording: id, Kind: string(jobs.Rendition), Made: time.Now(), Result: "{}"}
	return errors.Join(db.PutDerived(ctx, d), db.Close())
}

// made is what the maker of the low rendition tells a library, which there is none of.
type made struct{ work.Library }

func (made) PutDerived(_ context.Context, d store.Derived) error {
	log.Printf("low rendition of the minute: %s", d.Result)
	return nil
}

const minute = time.Minute

// makeRecording makes a minute and its low rendition, and repeats both.
func makeRecording(ctx context.Context, path, id string, length time.Duration) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=720x576 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 60"+
		" -vf noise=alls=12:allf=t,setsar=64/45 -c:v libx264 -preset veryfast -g 50 -bf 2 -b:v 3M -maxrate 3500k -bufsize 3M -pix_fmt yuv420p -c:a aac -b:a 128k -mpegts_flags +pat_pmt_at_frames -f mpegts pipe:1")...)
	var said bytes.Buffer
	cmd.Stderr = &said
	b, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("make a minute: %w %s", err, said.String())
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	index := indexed(b)
	media := filepath.Join(path, "media.ts")
	if err := errors.Join(os.WriteFile(media, b, 0o600), folder.WriteIndex(path, "media.ts", index)); err != nil {
		return err
	}
	began := time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)
	end := began.Add(length)
	rec := store.Recording{
		ID: id, Stream: "channels/a", Title: "三小时", Format: folder.TS, State: store.RecordingComplete, Started: began, Ended: &end,
		File: filepath.Join("2026", "03", "01", id, "media.ts"), Bytes: int64(len(b)), Duration: minute,
		Tracks: []store.RecordingTrack{{File: "media.ts", Stream: "channels/a", Kind: "video", Codec: "H264", Width: 720, Height: 576}, {File: "media.ts", Stream: "channels/a", Kind: "audio", Codec: "AAC"}},
	}
	shop := &work.Shop{Dir: filepath.Join(path, "..", "..", "..", ".."), FFmpeg: "ffmpeg", Library: made{}}
	before := time.Now()
	if _, err := shop.Makers()[jobs.Rendition](ctx, rec, store.Job{Kind: string(jobs.Rendition), CreatedBy: "bench"}, func(float64) {}); err != nil {
		return err
	}
	log.Printf("a minute was encoded in %v", time.Since(before).Round(10*time.Millisecond))
	times := int(length / minute)
	if err := repeatTS(path, b, index, times); err != nil {
		return err
	}
	if err := repeatLow(filepath.Join(path, folder.DerivedName), times); err != nil {
		return err
	}
	rec.Duration, rec.Bytes = time.Duration(times)*minute, int64(len(b)*times)
	m := folder.Describe(rec)
	m.Media = began
	m.Files = []folder.File{{Name: "media.ts", Index: folder.IndexName, Stream: rec.Stream, Tracks: rec.Tracks}}
	return folder.Write(path, m)
}

// repeatTS writes the minute again and again; the clock in it begins anew each time.
func repeatTS(path string, b []byte, index []folder.Entry, times int) error {
	f, err := os.OpenFile(filepath.Join(path, "media.ts"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	all := index
	for i := 1; i < times && err == nil; i++ {
		_, err = f.Write(b)
		for _, e := range index {
			e.Offset += int64(i * len(b))
			e.TimeUS += int64(i) * minute.Microseconds()
			all = append(all, e)
		}
	}
	return errors.Join(err, f.Close(), folder.WriteIndex(path, "media.ts", all))
}

// repeatLow writes the low rendition of the minute again and again, each at its time.
func repeatLow(dir string, times int) error {
	one, err := os.ReadFile(filepath.Join(dir, folder.LowName))
	if err != nil {
		return err
	}
	index, err := folder.ReadIndex(dir, folder.LowName)
	if err != nil {
		return err
	}
	head := one[:index[0].Length]
	all, at := index[:len(index):len(index)], int64(len(one))
	f, err := os.OpenFile(filepath.Join(dir, folder.LowName), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	for i := 1; i < times && err == nil; i++ {
		for _, e := range index[1:] {
			g := bytes.Clone(one[e.Offset : e.Offset+e.Length])
			fmp4.Shift(head, g, time.Duration(i)*minute, uint32(len(all)))
			e.Offset, e.TimeUS, e.CRC = at, e.TimeUS+int64(i)*minute.Microseconds(), folder.Hex(folder.Checksum(g))
			all, at = append(all, e), at+e.Length
			if _, err = f.Write(g); err != nil {
				break
			}
		}
	}
	return errors.Join(err, f.Close(), folder.WriteIndex(dir, folder.LowName, all))
}

// indexed tells the fragments of what ffmpeg wrote as the recorder would: each begins
// with the tables ahead of a key frame.
func indexed(b []byte) []folder.Entry {
	var out []folder.Entry
	tables, zero := 0, int64(-1)
	for at := 0; at+mpegts.PacketSize <= len(b); at += mpegts.PacketSize {
		p := b[at : at+mpegts.PacketSize]
		switch pid := int(p[1]&0x1f)<<8 | int(p[2]); {
		case pid == 0:
			tables = at
		case pid == 0x100 && p[1]&0x40 != 0 && p[3]&0x20 != 0 && p[5]&0x40 != 0:
			pts := mpegts.PacketPTS(p)
			if zero < 0 {
				zero, tables = pts, 0
			}
			out = append(out, folder.Entry{Offset: int64(tables), TimeUS: (pts - zero) * 100 / 9, Sync: true, PTS: &pts})
		}
	}
	for i := range out {
		end, until := int64(len(b)), minute.Microseconds()
		if i+1 < len(out) {
			end, until = out[i+1].Offset, out[i+1].TimeUS
		}
		out[i].Length, out[i].DurationUS = end-out[i].Offset, until-out[i].TimeUS
		out[i].CRC = folder.Hex(folder.Checksum(b[out[i].Offset:end]))
	}
	return out
}

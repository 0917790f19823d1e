package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"tongxiang/configs"
	"tongxiang/internal/server"
)

func serve(ctx context.Context, args []string, out io.Writer) error {
	var path string
	if err := flags("serve", args, func(fs *flag.FlagSet) { configFlag(fs, &path) }); err != nil {
		return err
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	log := logger(cfg.Log)
	s, err := server.New(ctx, cfg, version, log)
	if err != nil {
		return err
	}
	announce(out, s)
	ended := make(chan struct{})
	defer close(ended)
	go insist(ctx, ended, log)
	err = s.Run(ctx)
	log.Info("stopping")
	return errors.Join(err, s.Close())
}

// endPatience is how long the end may take after it was asked for. It takes a second;
// whoever waits longer waits for ever.
const endPatience = 30 * time.Second

// insist ends the process when its end was asked for and does not come. It ends with
// ended.
func insist(ctx context.Context, ended <-chan struct{}, log *slog.Logger) {
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	select {
	case <-ended:
	case <-time.After(endPatience):
		giveUp(log)
	}
}

// giveUp ends a process whose parts do not end, and leaves in the log where they stand.
// What was recorded is whole up to the last second: recordings survive any end.
func giveUp(log *slog.Logger) {
	stacks := make([]byte, 1<<20)
	log.Error("the server does not end and is ended", "goroutines", string(stacks[:runtime.Stack(stacks, true)]))
	os.Exit(1)
}

// announce prints where to go and, at the first start, as whom.
func announce(out io.Writer, s *server.Server) {
	plain, secure := s.Addresses()
	fmt.Fprintf(out, "\n通乡 Tongxiang %s\n\n", version)
	if plain != nil {
		base := "http://" + host(plain)
		fmt.Fprintf(out, "  首页 home:       %s/\n  会议 meetings:   %s/meetings/{id}\n  终端机 kiosk:    %s/kiosk\n  控制台 console:  %s/console\n", base, base, base, base)
	}
	if secure != nil {
		fmt.Fprintf(out, "  加密 encrypted:  https://%s/\n", host(secure))
		for _, address := range elsewhere(secure) {
			fmt.Fprintf(out, "  其他电脑 others: https://%s/\n", address)
		}
	}
	if s.First.Name != "" {
		fmt.Fprintf(out, "\n  首次启动，已创建管理员；密码只显示这一次。\n  First start: this account was made; the password is shown only now.\n\n  administrator: %s\n  password: %s\n", s.First.Name, s.First.Password)
	}
	fmt.Fprintln(out)
}

// host returns an address that can be opened on this machine.
func host(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if t.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", t.Port)
	}
	return t.String()
}

// elsewhere returns where other machines find a listener of all addresses: this
// machine's own in IPv4, three at most.
func elsewhere(a net.Addr) []string {
	t, ok := a.(*net.TCPAddr)
	if !ok || !t.IP.IsUnspecified() {
		return nil
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // an address less is shown; nothing depends on it
	}
	var found []string
	for _, one := range all {
		if n, ok := one.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() && len(found) < 3 {
			found = append(found, fmt.Sprintf("%s:%d", n.IP, t.Port))
		}
	}
	return found
}

func check(args []string, out io.Writer) error {
	var path string
	if err := flags("check", args, func(fs *flag.FlagSet) { configFlag(fs, &path) }); err != nil {
		return err
	}
	if path == "" {
		return misuse("check", "needs --config FILE")
	}
	cfg, err := configs.Load(path, os.Environ())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s is valid: %d channels, data in %s\n", path, len(cfg.Channels), cfg.Data)
	return nil
}

// healthcheck asks the server of this configuration whether it lives.
func healthcheck(ctx context.Context, args []string) error {
	var path string
	if err := flags("healthcheck", args, func(fs *flag.FlagSet) { configFlag(fs, &path) }); err != nil {
		return err
	}
	cfg, err := load(path)
	if err != nil {
		return err
	}
	scheme, listen := "http", cfg.HTTP.Listen
	if listen == "" {
		scheme, listen = "https", cfg.HTTPS.Listen
	}
	hostPart, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	if hostPart == "" {
		hostPart = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(hostPart, port)+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	// The question is whether the process answers, on this machine; its certificate is for other names.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("healthcheck: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("healthcheck: the server answers %s", res.Status)
	}
	return nil
}

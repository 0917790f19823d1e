package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tongxiang/internal/pki"
)

// listener is one HTTP server and its socket.
type listener struct {
	net.Listener
	server *http.Server
}

// listen opens the sockets, so that a taken port is an error before anything is announced.
func (s *Server) listen() error {
	var err error
	if s.cfg.HTTP.Listen != "" {
		if s.http, err = s.open(s.cfg.HTTP.Listen, nil); err != nil {
			return fmt.Errorf("http.listen: %w", err)
		}
	}
	if s.cfg.HTTPS.Listen == "" {
		return nil
	}
	cert, err := s.certificate()
	if err != nil {
		return err
	}
	s.https, err = s.open(s.cfg.HTTPS.Listen, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return fmt.Errorf("https.listen: %w", err)
	}
	return nil
}

// certificate returns the configured one, or one of the built-in authority.
func (s *Server) certificate() (tls.Certificate, error) {
	if s.cfg.HTTPS.Certificate != "" {
		cert, err := tls.LoadX509KeyPair(s.cfg.HTTPS.Certificate, s.cfg.HTTPS.Key)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("https.certificate: %w", err)
		}
		return cert, nil
	}
	hosts, err := pki.Hosts(s.cfg.HTTPS.Hosts)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pki.Load(s.cfg.KeysDir(), hosts, time.Now())
}

func (s *Server) open(addr string, config *tls.Config) (*listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if config != nil {
		config.NextProtos = []string{"h2", "http/1.1"}
		l = tls.NewListener(l, config)
	}
	return &listener{l, &http.Server{
		Handler: s.handler,
		// A client that sends its headers by the drop holds a connection no
		// longer than this. Bodies and answers may take long: recordings over 1 Mbit/s.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          nil,
	}}, nil
}

func (l *listener) serve() error {
	if err := l.server.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// shutdown lets requests finish for a while, then cuts them.
func (l *listener) shutdown(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.server.Shutdown(ctx); err != nil {
		return l.server.Close()
	}
	return nil
}

// close frees the socket, also of a listener that never served.
func (l *listener) close() {
	// Either was closed before, or this is the last that is heard of it.
	_ = l.server.Close()
	_ = l.Listener.Close()
}

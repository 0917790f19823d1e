package server

import (
	"encoding/json"
	"net/http"
	"os"

	"tongxiang/internal/apierr"
	"tongxiang/internal/pki"
)

var errNoAuthority = apierr.New(http.StatusNotFound, "no_authority",
	"This node has a certificate of its own and no built-in authority.", "本节点使用自己的证书，没有内置证书机构。")

// minFree is the free space below which a node is not ready to record: a minute of
// ten channels.
const minFree = 512 << 20

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": s.version})
}

// readyz says whether the node can do its work, and what is wrong when not.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	wrong := map[string]string{}
	if err := s.store.Ping(r.Context()); err != nil {
		wrong["store"] = err.Error()
	}
	if free, err := freeBytes(s.cfg.Data); err != nil {
		wrong["disk"] = err.Error()
	} else if free < minFree {
		wrong["disk"] = "less than 512 MiB free"
	}
	w.Header().Set("Cache-Control", "no-store")
	if len(wrong) > 0 {
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "wrong": wrong})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// authority hands out the certificate that the sites' machines must trust.
func (s *Server) authority(w http.ResponseWriter, r *http.Request) {
	pem, err := os.ReadFile(pki.CAFile(s.cfg.KeysDir()))
	if err != nil {
		apierr.Write(w, r, s.log, errNoAuthority.Because(err))
		return
	}
	w.Header().Set("Content-Type", "application/x-x509-ca-cert")
	w.Header().Set("Content-Disposition", `attachment; filename="tongxiang-ca.crt"`)
	// The connection may be gone; there is nobody left to tell.
	_, _ = w.Write(pem)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// As above.
	_ = json.NewEncoder(w).Encode(v)
}

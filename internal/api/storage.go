package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/auth"
)

// Storage tells how much room there is for recordings.
type Storage interface {
	Storage(context.Context) (StorageState, error)
}

// StorageState is the recordings' disk now and as it will be.
type StorageState struct {
	Used     int64      `json:"used" doc:"Bytes of all recordings, with everything in their folders"`
	Beside   int64      `json:"beside" doc:"Of used, what is neither a main media file nor made by jobs: sites' own files, indexes"`
	Derived  int64      `json:"derived" doc:"Of used, what jobs made: pictures, low renditions, exports"`
	Free     int64      `json:"free" doc:"Bytes that may still be written"`
	PerDay   int64      `json:"bytes_per_day" doc:"As was recorded over measured_days"`
	Measured float64    `json:"measured_days" doc:"Days up to now that the rate is of: seven, or since the first recording"`
	FullAt   *time.Time `json:"full_at" doc:"When there will be no room at this rate, if nothing is deleted; null: never"`
	// Ruled is what people want to know.
	Ruled *time.Time `json:"full_at_by_rules" doc:"The same with what retention and quotas remove until then; null: never. Before that, library.floor may remove what would have been kept longer"`
}

func (s *service) storage(a huma.API) {
	if s.Storage == nil {
		return
	}
	huma.Register(a, op("GET", "/storage", "storage", "Room for recordings, and when it will be used up", auth.ManageRecordings, http.StatusOK), func(ctx context.Context, _ *struct{}) (*body[StorageState], error) {
		x, err := s.Storage.Storage(ctx)
		if err != nil {
			return nil, problem(err)
		}
		return &body[StorageState]{x}, nil
	})
}

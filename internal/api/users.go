package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

type userView struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Display  string    `json:"display"`
	Role     string    `json:"role"`
	Disabled bool      `json:"disabled"`
	Created  time.Time `json:"created"`
}

func userViewOf(u store.User) userView {
	return userView{ID: u.ID, Name: u.Name, Display: u.Display, Role: string(u.Role), Disabled: u.Disabled, Created: u.Created}
}

type newUser struct {
	Body struct {
		Name     string    `json:"name" minLength:"1" maxLength:"64"`
		Display  string    `json:"display,omitempty" maxLength:"100"`
		Password string    `json:"password" minLength:"1" maxLength:"256"`
		Role     auth.Role `json:"role" enum:"administrator,operator,chair,member,viewer,kiosk"`
	}
}

type userChange struct {
	ByID
	Body struct {
		Display  *string    `json:"display,omitempty" maxLength:"100"`
		Role     *auth.Role `json:"role,omitempty" enum:"administrator,operator,chair,member,viewer,kiosk"`
		Disabled *bool      `json:"disabled,omitempty"`
		Password *string    `json:"password,omitempty" minLength:"1" maxLength:"256"`
	}
}

type ownPassword struct {
	Body struct {
		Present  string `json:"present" minLength:"1" maxLength:"256"`
		Password string `json:"password" minLength:"1" maxLength:"256"`
	}
}

func (s *service) users(a huma.API) {
	huma.Register(a, op("GET", "/users", "list-users", "Accounts", auth.ManageUsers, http.StatusOK), func(ctx context.Context, in *Page) (*list[userView], error) {
		rows, total, err := s.Store.Users(ctx, "", in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]userView, len(rows))
		for i, u := range rows {
			out[i] = userViewOf(u)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("POST", "/users", "create-user", "Add an account", auth.ManageUsers, http.StatusCreated), func(ctx context.Context, in *newUser) (*body[userView], error) {
		u, err := s.Auth.CreateUser(ctx, principal(ctx), auth.NewUser{Name: in.Body.Name, Display: in.Body.Display, Password: in.Body.Password, Role: in.Body.Role})
		if err != nil {
			return nil, problem(err)
		}
		return &body[userView]{userViewOf(u)}, nil
	})
	huma.Register(a, op("PATCH", "/users/{id}", "change-user", "Change an account, or give it another password", auth.ManageUsers, http.StatusOK), func(ctx context.Context, in *userChange) (*body[userView], error) {
		if in.Body.Password != nil {
			if err := s.Auth.SetPassword(ctx, principal(ctx), in.ID, *in.Body.Password); err != nil {
				return nil, problem(err)
			}
		}
		u, err := s.Auth.ChangeUser(ctx, principal(ctx), in.ID, auth.UserChange{Display: in.Body.Display, Role: in.Body.Role, Disabled: in.Body.Disabled})
		if err != nil {
			return nil, problem(err)
		}
		return &body[userView]{userViewOf(u)}, nil
	})
	huma.Register(a, op("DELETE", "/users/{id}", "delete-user", "Remove an account", auth.ManageUsers, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		if err := s.Auth.DeleteUser(ctx, principal(ctx), in.ID); err != nil {
			return nil, problem(err)
		}
		return nil, nil
	})
	huma.Register(a, op("POST", "/users/me/password", "change-own-password", "Change one's own password", "", http.StatusNoContent), func(ctx context.Context, in *ownPassword) (*struct{}, error) {
		if err := s.Auth.ChangeOwnPassword(ctx, principal(ctx), in.Body.Present, in.Body.Password); err != nil {
			return nil, problem(err)
		}
		return nil, nil
	})
}

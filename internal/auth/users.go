package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"tongxiang/internal/store"
)

// AdministratorName is the login name of the account made at the first start.
const AdministratorName = "admin"

// canonical is how login names are compared and stored.
func canonical(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// CheckName reports whether a login name may be used. The error is [ErrBadName].
func CheckName(name string) error {
	name = canonical(name)
	if n := utf8.RuneCountInString(name); n < 2 || n > 64 {
		return ErrBadName
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r) {
			return ErrBadName
		}
	}
	return nil
}

// EnsureAdministrator makes an administrator with a random password when there is
// no account at all. The password is shown once and stored nowhere.
func (s *Service) EnsureAdministrator(ctx context.Context) (name, password string, created bool, err error) {
	if _, n, err := s.store.Users(ctx, "", store.Page{Limit: 1}); err != nil || n > 0 {
		return "", "", false, err
	}
	password = newPassword()
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return "", "", false, fmt.Errorf("make the first administrator: %w", err)
	}
	now := s.cfg.Now()
	u := store.User{ID: store.NewID(), Name: AdministratorName, Display: "管理员", Role: string(Administrator), PasswordHash: hash, Created: now, Changed: now}
	created, err = s.store.CreateFirstUser(ctx, u)
	if err != nil || !created {
		return "", "", false, err
	}
	return u.Name, password, true, s.Audit(ctx, Principal{Name: "system"}, "user.create", u.ID, "ok", "first administrator")
}

// NewUser is an account to be made.
type NewUser struct {
	Name, Display, Password string
	Role                    Role
}

// CreateUser makes an account.
func (s *Service) CreateUser(ctx context.Context, by Principal, n NewUser) (store.User, error) {
	if err := CheckName(n.Name); err != nil {
		return store.User{}, err
	}
	if !n.Role.Valid() {
		return store.User{}, ErrBadRole
	}
	name := canonical(n.Name)
	if err := CheckPassword(name, n.Password); err != nil {
		return store.User{}, err
	}
	hash, err := s.hasher.hash(ctx, n.Password)
	if err != nil {
		return store.User{}, err
	}
	now := s.cfg.Now()
	u := store.User{ID: store.NewID(), Name: name, Display: strings.TrimSpace(n.Display), Role: string(n.Role), PasswordHash: hash, Created: now.UTC(), Changed: now.UTC()}
	if u.Display == "" {
		u.Display = strings.TrimSpace(n.Name)
	}
	if err := s.store.CreateUser(ctx, u); errors.Is(err, store.ErrConflict) {
		return store.User{}, ErrNameTaken.Because(err)
	} else if err != nil {
		return store.User{}, err
	}
	return u, s.Audit(ctx, by, "user.create", u.ID, "ok", u.Name+", "+u.Role)
}

// UserChange is what to change of an account; nil fields stay.
type UserChange struct {
	Display  *string
	Role     *Role
	Disabled *bool
}

// ChangeUser changes an account. Disabling it, or changing its role, ends its
// sessions. The last enabled administrator stays one: [ErrLastAdministrator].
func (s *Service) ChangeUser(ctx context.Context, by Principal, id string, c UserChange) (store.User, error) {
	u, err := s.user(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	was := u
	if c.Display != nil {
		u.Display = strings.TrimSpace(*c.Display)
	}
	if c.Role != nil {
		if !c.Role.Valid() {
			return store.User{}, ErrBadRole
		}
		u.Role = string(*c.Role)
	}
	if c.Disabled != nil {
		u.Disabled = *c.Disabled
	}
	if mighty(was) && !mighty(u) {
		if err := s.anotherAdministrator(ctx, id); err != nil {
			return store.User{}, err
		}
	}
	if err := s.store.UpdateUser(ctx, u); err != nil {
		return store.User{}, err
	}
	if u.Disabled || u.Role != was.Role {
		if err := s.store.DeleteSessionsOf(ctx, id, ""); err != nil {
			return store.User{}, err
		}
	}
	return u, s.Audit(ctx, by, "user.change", id, "ok", fmt.Sprintf("%s, role %s, disabled %t", u.Name, u.Role, u.Disabled))
}

func mighty(u store.User) bool { return u.Role == string(Administrator) && !u.Disabled }

// anotherAdministrator makes sure that somebody else can still administer.
func (s *Service) anotherAdministrator(ctx context.Context, not string) error {
	for offset := 0; ; offset += store.MaxPage {
		l, total, err := s.store.Users(ctx, string(Administrator), store.Page{Limit: store.MaxPage, Offset: offset})
		if err != nil {
			return err
		}
		for _, u := range l {
			if u.ID != not && mighty(u) {
				return nil
			}
		}
		if offset+len(l) >= total || len(l) == 0 {
			return ErrLastAdministrator
		}
	}
}

// SetPassword gives an account another password and ends its sessions but the one
// that by came with.
func (s *Service) SetPassword(ctx context.Context, by Principal, id, password string) error {
	u, err := s.user(ctx, id)
	if err != nil {
		return err
	}
	if err := CheckPassword(u.Name, password); err != nil {
		return err
	}
	if u.PasswordHash, err = s.hasher.hash(ctx, password); err != nil {
		return err
	}
	u.Changed = s.cfg.Now()
	if err := s.store.UpdateUser(ctx, u); err != nil {
		return err
	}
	if err := s.store.DeleteSessionsOf(ctx, id, by.session); err != nil {
		return err
	}
	return s.Audit(ctx, by, "user.password", id, "ok", u.Name)
}

// ChangeOwnPassword is SetPassword for somebody who proves the present one. Wrong
// ones count towards the lockout.
func (s *Service) ChangeOwnPassword(ctx context.Context, p Principal, present, password string) error {
	if p.Kind != BySession {
		return ErrForbidden
	}
	u, err := s.user(ctx, p.ID)
	if err != nil {
		return err
	}
	if !s.lockout.try(u.Name, p.Address, s.cfg.Now()) {
		return ErrLocked
	}
	ok, _, err := s.hasher.verify(ctx, u.PasswordHash, present)
	if err != nil {
		return err
	}
	if !ok {
		return errors.Join(ErrWrongPassword, s.Audit(ctx, p, "user.password", u.ID, ErrWrongPassword.Code, u.Name))
	}
	s.lockout.succeeded(u.Name, p.Address)
	return s.SetPassword(ctx, p, u.ID, password)
}

// DeleteUser removes an account. The last enabled administrator stays.
func (s *Service) DeleteUser(ctx context.Context, by Principal, id string) error {
	u, err := s.user(ctx, id)
	if err != nil {
		return err
	}
	if mighty(u) {
		if err := s.anotherAdministrator(ctx, id); err != nil {
			return err
		}
	}
	if err := s.store.DeleteUser(ctx, id); err != nil {
		return err
	}
	return s.Audit(ctx, by, "user.delete", id, "ok", u.Name)
}

// UserNamed returns the account with a login name; for the command line.
func (s *Service) UserNamed(ctx context.Context, name string) (store.User, error) {
	u, err := s.store.UserByName(ctx, canonical(name))
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, ErrNoUser.Because(err)
	}
	return u, err
}

func (s *Service) user(ctx context.Context, id string) (store.User, error) {
	u, err := s.store.User(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, ErrNoUser.Because(err)
	}
	return u, err
}

// CreateDevice makes a kiosk's account and its token, which is returned only now.
func (s *Service) CreateDevice(ctx context.Context, by Principal, name string) (store.Device, string, error) {
	token := newToken(devicePrefix)
	d := store.Device{ID: store.NewID(), Name: strings.TrimSpace(name), TokenHash: hashToken(token), Created: s.cfg.Now().UTC()}
	if err := s.store.CreateDevice(ctx, d); err != nil {
		return store.Device{}, "", err
	}
	return d, token, s.Audit(ctx, by, "device.create", d.ID, "ok", d.Name)
}

// RevokeDevice makes a kiosk's token useless, at once.
func (s *Service) RevokeDevice(ctx context.Context, by Principal, id string) error {
	err := s.store.RevokeDevice(ctx, id, s.cfg.Now())
	if errors.Is(err, store.ErrNotFound) {
		return ErrNoDevice.Because(err)
	}
	if err != nil {
		return err
	}
	return s.Audit(ctx, by, "device.revoke", id, "ok", "")
}

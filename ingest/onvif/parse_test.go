package onvif

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// TestDigestIsThatOfTheProfile has the example of ONVIF's Application Programmer's
// Guide 1.0, 6.1.1.3.
func TestDigestIsThatOfTheProfile(t *testing.T) {
	nonce, err := base64.StdEncoding.DecodeString("LKqI6G/AikKCQrN0zqZFlg==")
	if err != nil {
		t.Fatal(err)
	}
	if got := digest(nonce, "2010-09-16T07:50:45Z", "userpassword"); got != "tuOSpGlFlIXsozq4HFNeeGeFLEI=" {
		t.Errorf("digest %q", got)
	}
}

func TestFaultsAreErrors(t *testing.T) {
	for body, want := range map[string]string{
		`<e:Envelope xmlns:e="x"><e:Body><e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>wsse:FailedAuthentication</e:Value></e:Subcode></e:Code></e:Fault></e:Body></e:Envelope>`:         "not authorized",
		`<Envelope><Body><Fault><faultcode>Client</faultcode><faultstring>bad thing</faultstring></Fault></Body></Envelope>`:                                                                               "bad thing",
		`<Envelope><Body><Fault><Code><Value>Receiver</Value><Subcode><Value>ter:Action</Value></Subcode></Code><Reason><Text>` + strings.Repeat("x", 5000) + `</Text></Reason></Fault></Body></Envelope>`: "ter:Action",
	} {
		_, err := parse([]byte(body))
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
			t.Errorf("%.80s: %v, want %s", body, err, want)
		}
		if strings.Contains(body, "FailedAuthentication") && !errors.Is(err, errCredentials) {
			t.Error("no error of credentials")
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`<Envelope><Body><GetProfilesResponse><Profiles token="a"><Name>b</Name></Profiles></GetProfilesResponse></Body></Envelope>`))
	f.Add([]byte(`<Envelope><Body><Fault/></Body></Envelope>`))
	f.Add([]byte(`<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := parse(b); (e == nil) == (err == nil) {
			t.Errorf("%v and %v", e, err)
		}
	})
}

package enrichment

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/hitolayer/hito/shared/event"
)

// writeDB writes a database with a record for each network and returns its path.
func writeDB(t testing.TB, records map[string]mmdbtype.DataType) string {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test", RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for network, record := range records {
		_, n, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(n, record); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "test.mmdb")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	return path
}

type (
	m = mmdbtype.Map
	s = mmdbtype.String
)

func TestCountriesOutOfTheBox(t *testing.T) {
	var g Geo
	for ip, want := range map[string]string{
		"8.8.8.8":                            "US",
		"83.149.9.216":                       "RU",
		"83.149.9.0":                         "RU", // truncated
		"83.149.9.0/24":                      "RU",
		"46.105.14.53":                       "FR",
		"133.11.0.1":                         "JP", // the University of Tokyo
		"::ffff:133.11.0.1":                  "JP",
		"2001:200:0:8002:203:47ff:fea5:3085": "JP", // WIDE
		"2001:200::":                         "JP",
		"2001:200::/48":                      "JP",
		"":                                   "", "localhost": "", "127.0.0.1": "", "10.1.2.3": "", "192.168.0.1": "", "::1": "", "fe80::1%eth0": "", "0.0.0.0": "",
		"255.255.255.255": "", "1.2.3": "", "1.2.3.4.5": "", "224.0.0.1": "", "fd00::1": "",
	} {
		if got := g.Lookup(ip).GetCountry(); got != want {
			t.Errorf("%q: %q, want %q", ip, got, want)
		}
	}
	if g.Lookup("8.8.8.8") != g.Lookup("8.8.4.4") {
		t.Error("two addresses of a country do not share its value")
	}
}

func TestGeoDatabases(t *testing.T) {
	geolite := m{
		"country":      m{"iso_code": s("JP"), "names": m{"en": s("Japan")}},
		"city":         m{"names": m{"en": s("Tokyo"), "ja": s("東京")}},
		"subdivisions": mmdbtype.Slice{m{"iso_code": s("13"), "names": m{"en": s("Tokyo Prefecture")}}},
	}
	for name, test := range map[string]struct {
		records []m
		want    *event.Geo
	}{
		"GeoLite2 City": {[]m{geolite}, &event.Geo{Country: "JP", City: "Tokyo", Region: "Tokyo Prefecture"}},
		"GeoLite2 City and ASN": {[]m{geolite, {"autonomous_system_number": mmdbtype.Uint32(2500), "autonomous_system_organization": s("WIDE Project")}},
			&event.Geo{Country: "JP", City: "Tokyo", Region: "Tokyo Prefecture", Asn: 2500, AsOrg: "WIDE Project"}},
		"the first database counts": {[]m{{"country": m{"iso_code": s("DE")}}, geolite}, &event.Geo{Country: "DE", City: "Tokyo", Region: "Tokyo Prefecture"}},
		"registered country":        {[]m{{"registered_country": m{"iso_code": s("AU")}}}, &event.Geo{Country: "AU"}},
		"DB-IP flat": {[]m{{"country_code": s("br"), "stateprov": s("Bahia"), "city": s("Salvador"), "as_number": mmdbtype.Uint32(7), "as_organization": s("Foo")}},
			&event.Geo{Country: "BR", Region: "Bahia", City: "Salvador", Asn: 7, AsOrg: "Foo"}},
		"IPinfo Lite": {[]m{{"country": s("Brazil"), "country_code": s("BR"), "asn": s("AS15169"), "as_name": s("Google LLC")}},
			&event.Geo{Country: "BR", Asn: 15169, AsOrg: "Google LLC"}},
		"IPinfo location": {[]m{{"country": s("BR"), "region": s("Bahia"), "city": s("Salvador")}}, &event.Geo{Country: "BR", Region: "Bahia", City: "Salvador"}},
		"nothing known":   {[]m{{"unrelated": s("x")}}, &event.Geo{Country: "US"}},
		"unexpected kinds": {[]m{{"country": mmdbtype.Uint32(7), "city": mmdbtype.Slice{s("a")}, "subdivisions": s("b"), "asn": m{}, "as_name": mmdbtype.Bool(true)}},
			&event.Geo{Country: "US"}},
	} {
		t.Run(name, func(t *testing.T) {
			var paths []string
			for _, r := range test.records {
				paths = append(paths, writeDB(t, map[string]mmdbtype.DataType{"8.8.8.0/24": r}))
			}
			g, err := OpenGeo(paths...)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			for range 2 { // the second from the cache
				if got := g.Lookup("8.8.8.0"); got.String() != test.want.String() {
					t.Errorf("got %v, want %v", got, test.want)
				}
			}
			if got := g.Lookup("8.8.4.4"); got.GetCountry() != "US" || got.City != "" {
				t.Errorf("an address outside: %v", got)
			}
			if got := g.Lookup("not an address"); got != nil {
				t.Errorf("no address: %v", got)
			}
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { g.Lookup("8.8.8.1"); g.Lookup("9.9.9.9") })
			}
			wg.Wait()
		})
	}
}

func TestUnreadableGeoDatabase(t *testing.T) {
	good := writeDB(t, map[string]mmdbtype.DataType{"8.8.8.0/24": m{"country": m{"iso_code": s("DE")}}})
	bad := filepath.Join(t.TempDir(), "bad.mmdb")
	if err := os.WriteFile(bad, []byte("<html>sign in to download</html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{bad, filepath.Join(t.TempDir(), "missing.mmdb"), t.TempDir()} {
		_, err := OpenGeo(good, path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), ".mmdb") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A cut file opens or not; looking up in it must not panic.
func TestDamagedGeoDatabase(t *testing.T) {
	path := writeDB(t, map[string]mmdbtype.DataType{"8.8.8.0/24": m{"country": m{"iso_code": s("DE")}, "city": m{"names": m{"en": s("X")}}}})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.mmdb")
	for i := 0; i < len(data); i += 7 {
		damaged := append([]byte(nil), data...)
		damaged[i] ^= 0xff
		if err := os.WriteFile(bad, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if g, err := OpenGeo(bad); err == nil {
			g.Lookup("8.8.8.8")
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// The log's addresses: truncation to the network hardly ever changes the country.
func TestCountriesOfTheLog(t *testing.T) {
	var g Geo
	countries := map[string]int{}
	seen, same := 0, 0
	for _, line := range accessLog(t) {
		ip, _, _ := strings.Cut(line[0], " ")
		whole := g.Lookup(ip).GetCountry()
		countries[whole]++
		addr, err := netip.ParseAddr(ip)
		if err != nil {
			t.Fatal(err)
		}
		network, err := addr.Prefix(24)
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if g.Lookup(network.Addr().String()).GetCountry() == whole {
			same++
		}
	}
	if countries[""]*100 > seen || same*100 < seen*98 {
		t.Errorf("%d of %d without a country, %d with the same when truncated", countries[""], seen, same)
	}
	for _, c := range []string{"US", "DE", "FR", "RU", "CN", "IN", "GB", "JP"} {
		if countries[c] == 0 {
			t.Errorf("nobody from %s", c)
		}
	}
	t.Logf("%d countries: US %d, FR %d, DE %d, RU %d, IN %d, none %d", len(countries), countries["US"], countries["FR"], countries["DE"], countries["RU"], countries["IN"], countries[""])
}

func FuzzGeo(f *testing.F) {
	for _, ip := range []string{"8.8.8.8", "2001:db8::/48", "::ffff:1.2.3.4", "fe80::1%eth0", "0.0.0.0", "255.255.255.255", "ffff::", "/"} {
		f.Add(ip)
	}
	var g Geo
	f.Fuzz(func(t *testing.T, ip string) {
		if c := g.Lookup(ip).GetCountry(); c != "" && len(c) != 2 {
			t.Errorf("%q", c)
		}
	})
}

func BenchmarkCountry(b *testing.B) {
	var g Geo
	b.ReportAllocs()
	for b.Loop() {
		g.Lookup("83.149.9.0")
	}
}

func BenchmarkGeoDatabase(b *testing.B) {
	g, err := OpenGeo(writeDB(b, map[string]mmdbtype.DataType{"83.149.9.0/24": m{"country": m{"iso_code": s("RU")}}}))
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	b.ReportAllocs()
	for b.Loop() {
		g.Lookup("83.149.9.0")
	}
}

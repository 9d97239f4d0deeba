package enrichment

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/phuslu/iploc"

	"github.com/hitolayer/hito/shared/event"
)

// addresses is how many addresses' places are kept when databases are in use.
const addresses = 8192

// Geo finds where an address is registered. The zero value knows countries,
// from a table in the binary; OpenGeo adds what the user's databases know. It
// must not be copied.
type Geo struct {
	databases []*maxminddb.Reader
	cache     cache[*event.Geo]
	// countries shares one value per country, by its two letters.
	countries [26 * 26]atomic.Pointer[event.Geo]
}

// OpenGeo opens databases in MaxMind's DB format: GeoLite2 and GeoIP2 (City,
// Country, ASN, ISP) and those with DB-IP's or IPinfo's field names. What an
// earlier one says of an address counts before what a later one says. The files
// are mapped into memory: replace one by renaming, never by writing into it.
func OpenGeo(paths ...string) (*Geo, error) {
	g := new(Geo)
	for _, path := range paths {
		db, err := maxminddb.Open(path)
		if err != nil {
			_ = g.Close()
			return nil, fmt.Errorf("geo database %s: %w: name a file in MaxMind's DB format (.mmdb), uncompressed", path, err)
		}
		g.databases = append(g.databases, db)
	}
	return g, nil
}

// Close closes the databases. Nothing may be looked up after it.
func (g *Geo) Close() error {
	var first error
	for _, db := range g.databases {
		if err := db.Close(); err != nil && first == nil {
			first = fmt.Errorf("close geo database: %w", err)
		}
	}
	g.databases = nil
	return first
}

// Lookup returns what is known of an address, which may be truncated ("192.0.2.0",
// "2001:db8::", with or without the length of its prefix); nil when nothing is.
// The result is shared: it must not be changed.
func (g *Geo) Lookup(ip string) *event.Geo {
	if ip == "" || len(ip) > 64 {
		return nil
	}
	if len(g.databases) == 0 {
		return g.find(ip)
	}
	return g.cache.get(ip, addresses, g.find)
}

func (g *Geo) find(ip string) *event.Geo {
	ip, _, _ = strings.Cut(ip, "/")
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil
	}
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() {
		return nil
	}
	if len(g.databases) == 0 {
		return g.shared(country(addr))
	}
	var found event.Geo
	for _, db := range g.databases {
		read(db.Lookup(addr), &found)
	}
	if found.Country == "" {
		found.Country = country(addr)
	}
	if found.Country == "" && found.Region == "" && found.City == "" && found.Asn == 0 && found.AsOrg == "" {
		return nil
	}
	return &found
}

// shared returns the value that names only a country.
func (g *Geo) shared(country string) *event.Geo {
	if country == "" {
		return nil
	}
	at := &g.countries[int(country[0]-'A')*26+int(country[1]-'A')]
	geo := at.Load()
	if geo == nil {
		geo = &event.Geo{Country: country}
		at.Store(geo)
	}
	return geo
}

// country returns the ISO code of the country an address is registered in,
// by the table in the binary; empty when it is in none.
func country(addr netip.Addr) string {
	return iso(iploc.IPCountry(addr))
}

// iso returns code when it has the form of a country's, and is none of the
// codes that stand for an unknown one.
func iso(code string) string {
	if len(code) != 2 || code == "ZZ" || code == "XX" {
		return ""
	}
	for i := range len(code) {
		if code[i] < 'A' || code[i] > 'Z' {
			return ""
		}
	}
	return code
}

// The paths of what is read from a database, the first that is there counts.
var (
	countryPaths = [][]any{{"country", "iso_code"}, {"registered_country", "iso_code"}, {"country_code"}, {"country"}}
	regionPaths  = [][]any{{"subdivisions", 0, "names", "en"}, {"stateprov"}, {"state1"}, {"region"}}
	cityPaths    = [][]any{{"city", "names", "en"}, {"city"}}
	asnPaths     = [][]any{{"autonomous_system_number"}, {"traits", "autonomous_system_number"}, {"as_number"}, {"asn"}}
	asOrgPaths   = [][]any{{"autonomous_system_organization"}, {"traits", "autonomous_system_organization"}, {"as_organization"}, {"as_name"}}
)

// read adds to found what it does not have yet. A field of an unexpected kind
// reads as absent.
func read(result maxminddb.Result, found *event.Geo) {
	if result.Err() != nil || !result.Found() {
		return
	}
	if found.Country == "" {
		found.Country = firstText(result, countryPaths, func(s string) string { return iso(strings.ToUpper(s)) })
	}
	if found.Region == "" {
		found.Region = firstText(result, regionPaths, placeName)
	}
	if found.City == "" {
		found.City = firstText(result, cityPaths, placeName)
	}
	if found.AsOrg == "" {
		found.AsOrg = firstText(result, asOrgPaths, placeName)
	}
	if found.Asn == 0 {
		for _, path := range asnPaths {
			var n uint32
			if err := result.DecodePath(&n, path...); err != nil || n == 0 {
				var s string // IPinfo writes "AS15169"
				if result.DecodePath(&s, path...) == nil {
					v, _ := strconv.ParseUint(strings.TrimPrefix(s, "AS"), 10, 32)
					n = uint32(v)
				}
			}
			if n != 0 {
				found.Asn = n
				break
			}
		}
	}
}

func firstText(result maxminddb.Result, paths [][]any, form func(string) string) string {
	for _, path := range paths {
		var s string
		if result.DecodePath(&s, path...) == nil {
			if s = form(s); s != "" {
				return s
			}
		}
	}
	return ""
}

// placeName returns a place's or an organisation's name, bounded.
func placeName(s string) string { return clean(s, 128) }

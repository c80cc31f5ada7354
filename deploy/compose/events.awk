# Events as schemas/segment_membership.avsc has them, a line of JSON each: a twentieth as many users, cookies and
# devices, global and of the client Acme; in and out of 50 segments. The same `now` makes the same events.
function hex() { return sprintf("%04x", int(rand() * 65536)) }

BEGIN {
    srand(now)
    users = int(events / 20) + 1
    for (user = 0; user < users; user++)
        id[user] = hex() hex() "-" hex() "-" hex() "-" hex() "-" hex() hex() hex()
    for (event = 0; event < events; event++) {
        user = int(rand() * users)
        printf "{\"user_id\": \"%s\", \"mobile\": %s, \"client\": %s, ", \
            id[user], user % 2 ? "true" : "false", user % 3 ? "null" : "\"Acme\""
        printf "\"segments\": [{\"segment_id\": %d, \"timestamp\": %d}], \"event_time\": %d%03d}\n", \
            1001 + int(rand() * 50), rand() < 0.1 ? -1 : 0, now - 1, event % 1000
    }
}

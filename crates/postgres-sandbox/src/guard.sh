# Runs one PostgreSQL server and ends it when the pipe on standard input closes, which the
# operating system does however the process at its other end dies.
#
# usage: sh -c "$(cat guard.sh)" sh FOLDER PROGRAMS PORT keep|remove
# A line on standard input says how to end: stop (in order), quit (at once), detach (not at all).
folder=$1 programs=$2 port=$3 afterwards=$4

# Ctrl-C in a terminal is for the program that started us; it ends the server in its own time.
trap '' HUP INT
exec 3<&0 </dev/null

if [ ! -f "$folder/data/PG_VERSION" ]; then
    "$programs/initdb" -D "$folder/data" -A trust -U postgres -E UTF8 --no-locale --no-sync \
        3<&- >/dev/null || exit 70
    echo "include = '../settings.conf'" >>"$folder/data/postgresql.conf" || exit 70
fi

"$programs/postgres" -D "$folder/data" -p "$port" 3<&- &
server=$!
echo "$server" >"$folder/server.pid"

# Waits for the word and then signals until the server is gone: one signal alone could come
# before the server listens to signals.
(
    word=
    read -r word <&3 || word=gone
    case $word in
    stop) signal=INT ;;
    quit) signal=QUIT ;;
    detach)
        : >"$folder/unguarded"
        exit
        ;;
    *)
        : >"$folder/unguarded"
        signal=INT
        ;;
    esac
    tries=0
    while kill -s "$signal" "$server" 2>/dev/null; do
        tries=$((tries + 1))
        # Nobody needs the data any more: no reason to wait for a long last checkpoint.
        if [ "$word$afterwards" = goneremove ] && [ "$tries" -gt 100 ]; then
            signal=QUIT
        fi
        sleep 0.1 2>/dev/null || sleep 1
    done
) &
watcher=$!
exec 3<&-

wait "$server"
status=$?
kill "$watcher" 2>/dev/null
if [ -f "$folder/unguarded" ] && [ "$afterwards" = remove ]; then
    cd / && rm -rf "$folder"
fi
exit "$status"

#!/usr/bin/env bash
# A real one-node Ceph with its S3 gateway (RGW) on loopback, all in memory: ceph-rgw.sh DIR PORT MON_PORT
#
# Runs until it is told to stop (SIGTERM, SIGINT, or its standard input is closed), then ends every
# daemon it started and removes DIR. Prints "ready" on standard output once S3 answers.
# Keys AK / SK. One lifecycle "day" lasts 10 s; class DEEP_ARCHIVE exists.
set -euo pipefail

D=$(realpath -m "${1:?directory}") PORT=${2:?port} MON=${3:?port of the monitor}
CEPH=(-c "$D/ceph.conf")

for program in radosgw ceph-mon ceph-osd ceph radosgw-admin monmaptool; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: apt-get install --no-install-recommends radosgw ceph-mon ceph-osd ceph-mgr ceph-common" >&2
    exit 69
  }
done

stop() {
  trap - EXIT
  local pids=()
  for file in "$D"/run/*.pid; do
    [ -s "$file" ] && pids+=("$(cat "$file")")
  done
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  for _ in $(seq 50); do
    [ ${#pids[@]} -eq 0 ] || kill -0 "${pids[@]}" 2>/dev/null || break
    sleep 0.1
  done
  [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null || true
  rm -rf "$D"
}
trap stop EXIT
trap 'exit 0' TERM INT HUP

mkdir -p "$D"/{mon/a,osd/0,run,log}
FSID=$(cat /proc/sys/kernel/random/uuid)
cat > "$D/ceph.conf" <<CONF
[global]
fsid = $FSID
mon_host = [v1:127.0.0.1:$MON]
mon_initial_members = a
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_bind_ipv4 = true
public_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
run_dir = $D/run
admin_socket = $D/run/\$name.\$pid.asok
log_file = $D/log/\$name.log
pid_file = $D/run/\$name.pid
[mon]
mon_data = $D/mon/a
mon_max_pg_per_osd = 2000
mon_data_avail_warn = 1
mon_data_avail_crit = 0
[osd]
osd_data = $D/osd/\$id
osd_objectstore = memstore
memstore_device_bytes = 2147483648
[client.rgw.a]
rgw_frontends = beast endpoint=127.0.0.1:$PORT
rgw_lc_debug_interval = 10
rgw_enable_ops_log = false
CONF

osd_is_up() { timeout 10 ceph "${CEPH[@]}" osd stat 2>/dev/null | grep -q ' 1 up'; }

# An OSD that greets the monitor too early is told "wrong fsid" and leaves: it is started again.
start_osd() {
  for _ in 1 2 3 4 5; do
    timeout 30 ceph-osd "${CEPH[@]}" -i 0 || sleep 1
    for _ in $(seq 20); do
      osd_is_up && return
      kill -0 "$(cat "$D/run/osd.0.pid" 2>/dev/null)" 2>/dev/null || break
      sleep 0.5
    done
  done
  return 1
}

start() {
  monmaptool --create --addv a "[v1:127.0.0.1:$MON]" --fsid "$FSID" "$D/monmap"
  ceph-mon "${CEPH[@]}" --mkfs -i a --monmap "$D/monmap"
  ceph-mon "${CEPH[@]}" -i a
  timeout 30 ceph "${CEPH[@]}" osd create
  timeout 30 ceph-osd "${CEPH[@]}" -i 0 --mkfs
  timeout 30 ceph "${CEPH[@]}" osd crush add osd.0 1 root=default host=h
  start_osd
  timeout 60 radosgw-admin "${CEPH[@]}" user create --uid=t --display-name=t --access-key=AK --secret=SK
  local placement=(placement add --placement-id default-placement --storage-class DEEP_ARCHIVE)
  timeout 60 radosgw-admin "${CEPH[@]}" zonegroup "${placement[@]}" --rgw-zonegroup default
  timeout 60 radosgw-admin "${CEPH[@]}" zone "${placement[@]}" --rgw-zone default --data-pool default.rgw.cold.data
  timeout 60 radosgw "${CEPH[@]}" -n client.rgw.a
}

# Not `start || ...`, which would let every command in it fail unseen.
trap 'tail -20 "$D/log/start.log" >&2; stop' EXIT
start >"$D/log/start.log" 2>&1
trap stop EXIT

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
for _ in $(seq 240); do answers && break; sleep 0.25; done
answers || { tail -20 "$D"/log/*.log >&2; exit 1; }
echo ready
# The end of standard input is the end of whoever started us, however that came about.
while read -r _; do :; done

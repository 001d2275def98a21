#!/bin/sh
# Archive what is new, unattended: only steps that add, never a deletion. Run it where the manifest
# lies; its exit code is s3plan's, so that cron and systemd tell of anything but 0.
#
# The manifest says `changed: list`, so that a session that changed is told of and left for a person.
set -u
s3plan plan manifest.yaml --out plan.json --detailed-exitcode
case $? in
    0) exit 0 ;;                                              # No changes
    2) exec s3plan apply plan.json --approve-class archive,put-files ;;
    *) exit 1 ;;
esac

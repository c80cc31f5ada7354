#!/bin/sh
# Makes the topic of compose.yaml, and writes $EVENTS made-up events of this moment into it.
set -eu
folder=$(dirname "$0")
kafka=${KAFKA:-/opt/kafka/bin}

"$kafka/kafka-topics.sh" --bootstrap-server "$BOOTSTRAP" --create --if-not-exists \
    --topic segments --partitions 4 --replication-factor 1
awk -v events="$EVENTS" -v now="$(date +%s)" -f "$folder/events.awk" |
    "$kafka/kafka-console-producer.sh" --bootstrap-server "$BOOTSTRAP" --topic segments
echo "$EVENTS events are in the topic segments"

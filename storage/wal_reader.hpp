#pragma once

// Recovery reads the log in two passes, each parallel over segments or shards:
//
//     paths = list_segments(files, folder)
//     scans = scan_segment(...) of each path      any number of threads, one call each
//     survey = log_survey::build(scans, shards)   orders, checks chains, applies cuts
//     survey.cut_transactions(end LSN of each shard's checkpoint)
//     every survey.shard(s).gaps: harmless when resumes_at <= start LSN of the checkpoint of s,
//     else data is missing survey.sync_tails(files)                    before anything that was
//     read is acted on for each segment in order: load_segment(), then replay() on any number of
//     threads, each with its own shards
//
// and the log goes on with
//
//     store = segment_store::open(..., survey.infos()), drop the survey
//     shard_log at {.last = chain.seen ? chain.end : checkpoint end, .next = max(chain.next,
//     checkpoint reserved + 1),
//                   .epoch = max(chain.epoch, checkpoint end epoch)}
//     wal_stream::open(...)                       writes the cuts and the reservations

#include "storage/log_replay.hpp"
#include "storage/log_survey.hpp"
#include "storage/segment_scan.hpp"

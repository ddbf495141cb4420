#pragma once

#include "cluster/rpc_admin.hpp"
#include "messages/conversion.hpp"

#include <atomic>
#include <utility>

// What the files of rpc_admin share; nobody else includes it.
namespace warp::cluster {

template <class Results>
void rpc_admin::answer_status(const op_status& status, Results results) {
  if (status.ok()) return;
  context_.counters.errors.fetch_add(1, std::memory_order_relaxed);
  write_status(status, results.initStatus());
}

template <class Job, class Answer>
kj::Promise<void> rpc_admin::beside(Job job, Answer answer) {
  context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
  ++context_.admin_calls;
  return context_.admin_jobs.run(std::move(job))
      .then(std::move(answer))
      .attach(kj::defer([&context = context_] { --context.admin_calls; }));
}

} // namespace warp::cluster

#include "cluster/etcd/client.hpp"

#include "cluster/etcd/answer_json.hpp"
#include "cluster/etcd/client_worker.hpp"

#include <new>
#include <optional>
#include <string_view>
#include <system_error>

namespace warp::cluster::etcd {

namespace {

/// `tell` gets ok, with the answer, or the status of a failure.
template <class Answer, class Tell>
std::unique_ptr<client_job> job_of(gateway_call call, bool repeatable,
                                   op_result<Answer> (*reader)(std::string_view), Tell tell) {
  auto answer = std::make_shared<std::optional<Answer>>();
  auto job = std::make_unique<client_job>();
  job->call = std::move(call);
  job->repeatable = repeatable;
  job->read = [answer, reader](const std::string& body, answer_header& header) -> op_status {
    auto taken = reader(body);
    if (!taken) return taken.status();
    header = taken->header;
    *answer = std::move(*taken);
    return {};
  };
  job->finish = [answer, tell = std::move(tell)](op_status status) {
    tell(std::move(status), *answer);
  };
  return job;
}

template <class Answer>
auto to_callback(client::callback<Answer> done) {
  return [done = std::move(done)](op_status status, std::optional<Answer>& answer) {
    if (status.ok())
      done(std::move(*answer));
    else
      done(std::move(status));
  };
}

} // namespace

client::client(client_options options) : worker_(std::make_unique<worker>(std::move(options))) {}

client::~client() = default;

op_result<std::unique_ptr<client>> client::create(client_options options) {
  if (auto status = check(options); !status.ok()) return status;
  try {
    return std::unique_ptr<client>{new client{std::move(options)}};
  } catch (const std::bad_alloc&) {
    return op_status{op_code::overloaded, "no memory for a client of etcd"};
  } catch (const std::system_error& e) {
    return op_status{op_code::overloaded,
                     std::string{"no thread for a client of etcd: "} + e.what()};
  }
}

void client::range(const range_request& request, callback<range_answer> done) {
  worker_->submit(job_of(to_call(request), true, read_range, to_callback(std::move(done))));
}

void client::txn(const txn_request& request, std::function<void(txn_result)> done) {
  worker_->submit(job_of(
      to_call(request), false, read_txn,
      [done = std::move(done)](op_status status, std::optional<txn_result>& answer) {
        txn_result result;
        if (status.ok()) {
          result = std::move(*answer);
        } else {
          result.what = status.code() == op_code::outcome_unknown ? txn_result::outcome::unknown
                                                                  : txn_result::outcome::not_done;
          result.status = std::move(status);
        }
        done(std::move(result));
      }));
}

void client::put(const put_request& request, callback<put_answer> done) {
  worker_->submit(job_of(to_call(request), false, read_put, to_callback(std::move(done))));
}

void client::erase(const delete_request& request, callback<delete_answer> done) {
  worker_->submit(job_of(to_call(request), false, read_delete, to_callback(std::move(done))));
}

void client::grant(const lease_grant_request& request, callback<lease_answer> done) {
  // A grant whose answer was lost leaves a lease that ends by itself.
  worker_->submit(job_of(to_call(request), true, read_lease_grant, to_callback(std::move(done))));
}

void client::keep_alive(const lease_keepalive_request& request, callback<lease_answer> done) {
  worker_->submit(
      job_of(to_call(request), true, read_lease_keepalive, to_callback(std::move(done))));
}

void client::revoke(const lease_revoke_request& request, callback<put_answer> done) {
  // Its answer is a header alone, like a put's.
  worker_->submit(job_of(to_call(request), true, read_put, to_callback(std::move(done))));
}

void client::status(std::size_t endpoint, callback<member_status> done) {
  if (endpoint >= options().connection.endpoints.size()) {
    done(op_status{op_code::invalid_argument, "there is no such endpoint"});
    return;
  }
  auto job = job_of(status_call(), true, read_status, to_callback(std::move(done)));
  job->endpoint = endpoint;
  worker_->submit(std::move(job));
}

const client_options& client::options() const noexcept {
  return worker_->options();
}

client_counters client::counters() const {
  return worker_->counters();
}

} // namespace warp::cluster::etcd

#include "cache/nearest_keys.h"

#include <algorithm>
#include <deque>

#include "cache/kv_cache.h"
#include "kernels/accelerator.h"
#include "kernels/transfer.h"

namespace elastikv {

std::vector<std::vector<NearestSlots>> nearest_keys(const std::vector<CacheQuestions>& caches) {
  Upload upload;
  std::deque<std::vector<int32_t>> excluded;  // until it is sent
  std::vector<NearestQuery> queries;
  SentSlots work;
  const CacheShape* shape = nullptr;
  for (const CacheQuestions& of_cache : caches) {
    for (const NearestQuestion& question : of_cache.questions) {
      shape = &of_cache.cache->shape();
      excluded.emplace_back(question.excluded.begin(), question.excluded.end());
      NearestQuery query;
      query.heads = of_cache.cache->mirror().heads() + question.layer * shape->kv_heads +
                    (question.all_heads ? 0 : question.group);
      query.head_count = static_cast<int32_t>(question.all_heads ? shape->kv_heads : 1);
      query.excluded = upload.add(excluded.back());
      query.excluded_count = static_cast<int32_t>(question.excluded.size());
      for (const int64_t source : question.sources) {
        query.source = static_cast<int32_t>(source);
        queries.push_back(query);
      }
      work.most_heads = std::max<int64_t>(work.most_heads, query.head_count);
    }
  }
  std::vector<std::vector<NearestSlots>> answers(caches.size());
  if (queries.empty()) return answers;
  work.offset = upload.add(queries);
  work.count = std::ssize(queries);
  work.head_dim = shape->head_dim;
  work.dtype = shape->dtype;
  work.sent = upload.send(shape->device);
  const at::Tensor found = fetched({accelerator_of(shape->device)->find_nearest(work)})[0];
  const auto* next = reinterpret_cast<const NearestAnswer*>(found.const_data_ptr<uint8_t>());
  for (size_t c = 0; c < caches.size(); ++c) {
    for (const NearestQuestion& question : caches[c].questions) {
      NearestSlots& answer = answers[c].emplace_back();
      for (size_t i = 0; i < question.sources.size(); ++i, ++next) {
        answer.slots.push_back(next->slot);
        answer.cosines.push_back(next->cosine);
      }
    }
  }
  return answers;
}

}  // namespace elastikv

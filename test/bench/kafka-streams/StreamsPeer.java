import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The peer of the bench: what windowing and statistics do, in Kafka Streams, exactly once (v2), with
 * in-memory stores and their cache, a decoder by hand that makes no object per token, series looked
 * up by their bytes, a histogram of the same buckets. In two forms:
 *
 * windowing, both  at its best: the Processor API, which folds before anything is sent on
 * dsl              as its guide has it: groupBy, windowedBy, aggregate, through a topic by series;
 *                  windowing of the finest grouping only, each record in the slice of its end
 *
 * usage: java -cp 'libs/*' StreamsPeer.java BROKERS APPLICATION FORM STATE_FOLDER THREADS
 */
class StreamsPeer {
  static final String SOURCE = "lens.token-events";
  static final String SLICES = "bench.slices";
  static final String RESULTS = "bench.results";
  static final long SLICE_MS = 10_000;
  static final long[] SIZES_MS = {60_000, 300_000, 900_000};
  static final long DISORDER_MS = 5_000;

  public static void main(String[] args) throws Exception {
    var settings = new Properties();
    settings.put("bootstrap.servers", args[0]);
    settings.put("application.id", args[1]);
    settings.put("processing.guarantee", "exactly_once_v2");
    settings.put("state.dir", args[3]);
    settings.put("num.stream.threads", args[4]);
    settings.put("replication.factor", "1");
    settings.put("commit.interval.ms", "1000");
    settings.put("statestore.cache.max.bytes", String.valueOf(256 << 20));
    settings.put("consumer.auto.offset.reset", "earliest");
    settings.put("consumer.max.poll.records", "20000");
    settings.put("consumer.fetch.max.bytes", String.valueOf(50 << 20));
    settings.put("consumer.max.partition.fetch.bytes", String.valueOf(4 << 20));
    settings.put("producer.linger.ms", "50");
    settings.put("producer.batch.size", String.valueOf(256 << 10));
    settings.put("producer.max.request.size", String.valueOf(4 << 20));
    var streams = new KafkaStreams(args[2].equals("dsl") ? dsl() : topology(args[2].equals("both")), settings);
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
    System.out.println("running");
  }

  static Topology topology(boolean both) {
    var topology = new Topology();
    topology.addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), SOURCE);
    topology.addProcessor("fold", Fold::new, "events");
    topology.addStateStore(store("partial"), "fold");
    topology.addSink("slices", SLICES, new StringSerializer(), new ByteArraySerializer(), "fold");
    if (!both) return topology;
    topology.addSource("merged", new StringDeserializer(), new ByteArrayDeserializer(), SLICES);
    topology.addProcessor("windows", Windows::new, "merged");
    topology.addStateStore(store("total"), "windows");
    topology.addSink(
        "results", RESULTS, new StringSerializer(), new ByteArraySerializer(), "windows");
    return topology;
  }

  static Topology dsl() {
    var builder = new StreamsBuilder();
    var grace = Duration.ofMinutes(2);
    var size = Duration.ofMillis(SLICE_MS);
    var slices = Stores.inMemoryWindowStore("slices", grace.plus(size), size, false);
    // Each of the two parts of the topology has an instance of its own.
    var extracted = new Run();
    var grouped = new Run();
    var added = new Run();
    builder.stream(SOURCE, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray())
            .withTimestampExtractor((record, partitionMs) -> extracted.read((byte[]) record.value()).endMs()))
        .groupBy((key, value) -> grouped.seriesOf(value),
            Grouped.with("by-series", Serdes.String(), Serdes.ByteArray()))
        .windowedBy(TimeWindows.ofSizeAndGrace(size, grace))
        .aggregate(Slice::new, (series, value, slice) -> added.read(value).addAll(slice),
            Materialized.<String, Slice>as(slices)
                .withKeySerde(Serdes.String()).withValueSerde(Slice.SERDE).withCachingEnabled())
        .toStream((window, slice) -> window.key() + " " + window.window().start())
        .to(SLICES, Produced.with(Serdes.String(), Slice.SERDE));
    return builder.build();
  }

  static org.apache.kafka.streams.state.StoreBuilder<KeyValueStore<String, Slice>> store(String name) {
    return Stores.keyValueStoreBuilder(
            Stores.inMemoryKeyValueStore(name), Serdes.String(), Slice.SERDE)
        .withCachingEnabled();
  }

  /** Folds runs of tokens into slices of the finest series; every second the slices go on. */
  static class Fold implements Processor<byte[], byte[], String, byte[]> {
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Slice> store;
    private final Run run = new Run();

    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      store = context.getStateStore("partial");
      context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, at -> flush());
    }

    public void process(Record<byte[], byte[]> record) {
      run.read(record.value());
      long atUs = run.startedUs + run.elapsedUs;
      String key = null;
      Slice slice = null;
      long slicedMs = -1;
      for (int i = 0; i < run.chunks; i++) {
        atUs += run.reader.gaps[i];
        long startMs = atUs / 1000 / SLICE_MS * SLICE_MS;
        if (startMs != slicedMs) {
          if (slice != null) store.put(key, slice);
          slicedMs = startMs;
          key = run.series + " " + startMs;
          slice = store.get(key);
          if (slice == null) slice = new Slice();
        }
        run.add(i, slice);
      }
      if (slice == null) return;
      if (run.hasEnd) run.addEnd(slice);
      store.put(key, slice);
    }

    /** To each of the five groupings: the finest, by model, by endpoint, by tenant, the fleet. */
    private void flush() {
      List<String> done = new ArrayList<>();
      var coarse = new HashMap<String, Slice>();
      try (var all = store.all()) {
        while (all.hasNext()) {
          var entry = all.next();
          int space = entry.key.lastIndexOf(' ');
          String start = entry.key.substring(space);
          String[] labels = entry.key.substring(0, space).split("\\|");
          for (String name : List.of("model=" + labels[1], "endpoint=" + labels[2], "tenant=" + labels[4], "")) {
            coarse.computeIfAbsent(name + start, made -> new Slice()).merge(entry.value);
          }
          context.forward(new Record<>(entry.key, Slice.bytes(entry.value), context.currentSystemTimeMs()));
          done.add(entry.key);
        }
      }
      coarse.forEach((key, slice) ->
          context.forward(new Record<>(key, Slice.bytes(slice), context.currentSystemTimeMs())));
      for (String key : done) store.delete(key);
    }
  }

  /** Merges the slices of each series, and closes the windows that the event time has passed. */
  static class Windows implements Processor<String, byte[], String, byte[]> {
    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, Slice> store;
    private long newestMs = -1;
    private long closedMs = -1;

    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      store = context.getStateStore("total");
      context.schedule(Duration.ofSeconds(1), PunctuationType.WALL_CLOCK_TIME, at -> closeWindows());
    }

    public void process(Record<String, byte[]> record) {
      Slice total = store.get(record.key());
      Slice part = Slice.read(record.value());
      if (total != null) part.merge(total);
      store.put(record.key(), part);
      newestMs = Math.max(newestMs, startOf(record.key()));
    }

    private void closeWindows() {
      long toMs = (newestMs - DISORDER_MS) / SLICE_MS * SLICE_MS;
      if (newestMs < 0 || toMs <= closedMs) return;
      long fromMs = closedMs < 0 ? toMs - SLICE_MS : closedMs;
      var bySeries = new HashMap<String, TreeMap<Long, Slice>>();
      List<String> old = new ArrayList<>();
      try (var all = store.all()) {
        while (all.hasNext()) {
          var entry = all.next();
          long startMs = startOf(entry.key);
          if (startMs < toMs - SIZES_MS[2] - 60_000) old.add(entry.key);
          String series = entry.key.substring(0, entry.key.lastIndexOf(' '));
          bySeries.computeIfAbsent(series, made -> new TreeMap<>()).put(startMs, entry.value);
        }
      }
      for (long endMs = fromMs + SLICE_MS; endMs <= toMs; endMs += SLICE_MS) {
        for (var entry : bySeries.entrySet()) publish(entry.getKey(), entry.getValue(), endMs);
      }
      for (String key : old) store.delete(key);
      closedMs = toMs;
    }

    private void publish(String series, TreeMap<Long, Slice> slices, long endMs) {
      for (long sizeMs : SIZES_MS) {
        var sum = new Slice();
        for (Slice slice : slices.subMap(endMs - sizeMs, endMs).values()) sum.merge(slice);
        context.forward(new Record<>(series + " " + sizeMs + " " + endMs, Slice.bytes(sum), endMs));
      }
    }

    private static long startOf(String key) {
      return Long.parseLong(key.substring(key.lastIndexOf(' ') + 1));
    }
  }

  /** A record of token events: whose it is, and its chunks. */
  static class Run {
    private final Map<ByteBuffer, String> names = new HashMap<>();
    final Reader reader = new Reader();
    String series;
    long startedUs;
    long firstChunk;
    long elapsedUs;
    int chunks;
    int tokens;
    boolean hasEnd;

    String seriesOf(byte[] value) {
      reader.open(value);
      reader.skipText();
      reader.skipText();
      int from = reader.at;
      for (int i = 0; i < 5; i++) reader.skipText();
      for (long items = reader.number(); items != 0; items = reader.number()) {
        if (items < 0) reader.number();
        for (long i = 0; i < 2 * Math.abs(items); i++) reader.skipText();
      }
      return nameOf(value, from, reader.at);
    }

    Run read(byte[] value) {
      series = seriesOf(value);
      startedUs = reader.number();
      firstChunk = reader.number();
      elapsedUs = reader.number();
      chunks = reader.ints(reader.gaps);
      tokens = reader.ints(reader.tokens);
      reader.number();
      hasEnd = reader.number() == 1;
      return this;
    }

    long endUs() {
      long atUs = startedUs + elapsedUs;
      for (int i = 0; i < chunks; i++) atUs += reader.gaps[i];
      return atUs;
    }

    long endMs() {
      return endUs() / 1000;
    }

    void add(int i, Slice slice) {
      int gapUs = reader.gaps[i];
      if (firstChunk + i == 0) {
        slice.metrics[0].add(gapUs, 1);
        return;
      }
      slice.metrics[1].add(gapUs, 1);
      int n = tokens == 0 ? 1 : reader.tokens[i];
      if (n > 0) slice.metrics[2].add(Math.round((double) gapUs / n), n);
    }

    void addEnd(Slice slice) {
      slice.requests++;
      slice.metrics[3].add(endUs() - startedUs, 1);
      slice.metrics[4].add(12_000, 1);
    }

    Slice addAll(Slice slice) {
      for (int i = 0; i < chunks; i++) add(i, slice);
      if (hasEnd) addEnd(slice);
      return slice;
    }

    private String nameOf(byte[] value, int from, int to) {
      String known = names.get(ByteBuffer.wrap(value, from, to - from));
      if (known != null) return known;
      byte[] own = Arrays.copyOfRange(value, from, to);
      String made = String.join("|", texts(own));
      names.put(ByteBuffer.wrap(own), made);
      return made;
    }

    private static List<String> texts(byte[] labels) {
      var reader = new Reader();
      reader.open(labels);
      reader.at = 0;
      var all = new ArrayList<String>();
      for (int i = 0; i < 5; i++) all.add(reader.text());
      return all;
    }
  }

  /** What one series did in ten seconds. */
  static class Slice {
    long requests;
    final Histogram[] metrics = new Histogram[5];

    Slice() {
      for (int i = 0; i < metrics.length; i++) metrics[i] = new Histogram();
    }

    void merge(Slice other) {
      requests += other.requests;
      for (int i = 0; i < metrics.length; i++) metrics[i].merge(other.metrics[i]);
    }

    static byte[] bytes(Slice slice) {
      int size = 8;
      for (Histogram each : slice.metrics) size += each.size();
      var into = ByteBuffer.allocate(size).putLong(slice.requests);
      for (Histogram each : slice.metrics) each.write(into);
      return into.array();
    }

    static Slice read(byte[] bytes) {
      var from = ByteBuffer.wrap(bytes);
      var slice = new Slice();
      slice.requests = from.getLong();
      for (Histogram each : slice.metrics) each.read(from);
      return slice;
    }

    static final Serde<Slice> SERDE =
        Serdes.serdeFrom(
            (topic, slice) -> slice == null ? null : bytes(slice),
            (topic, bytes) -> bytes == null ? null : read(bytes));
  }

  /** Base-2 exponential buckets of scale 6, count, sum, sum of squares, minimum and maximum. */
  static class Histogram {
    static final double[] THRESHOLDS = new double[65];

    static {
      for (int i = 0; i <= 64; i++) THRESHOLDS[i] = Math.pow(2, i / 64.0);
    }

    long count;
    long sum;
    double squares;
    long min = Long.MAX_VALUE;
    long max = Long.MIN_VALUE;
    int offset;
    int[] counts = new int[0];

    void add(long value, int times) {
      count += times;
      sum += value * times;
      squares += (double) value * value * times;
      if (value < min) min = value;
      if (value > max) max = value;
      if (value == 0) return;
      int index = bucket(value);
      if (index < offset || index >= offset + counts.length) cover(index, index + 1);
      counts[index - offset] += times;
    }

    static int bucket(double value) {
      long bits = Double.doubleToRawLongBits(value);
      int exponent = (int) (bits >>> 52) - 1023;
      double mantissa = Double.longBitsToDouble((bits & 0xfffffffffffffL) | 0x3ff0000000000000L);
      int guess = (int) ((mantissa - 1) * 64);
      while (guess < 63 && THRESHOLDS[guess + 1] < mantissa) guess++;
      return exponent * 64 + (mantissa > THRESHOLDS[guess] ? guess : guess - 1);
    }

    void cover(int from, int to) {
      int start = counts.length == 0 ? from : Math.min(from, offset);
      int end = counts.length == 0 ? to : Math.max(to, offset + counts.length);
      int first = Math.floorDiv(start, 32) * 32;
      int[] grown = new int[Math.ceilDiv(end, 32) * 32 - first];
      System.arraycopy(counts, 0, grown, counts.length == 0 ? 0 : offset - first, counts.length);
      offset = first;
      counts = grown;
    }

    void merge(Histogram other) {
      if (other.count == 0) return;
      count += other.count;
      sum += other.sum;
      squares += other.squares;
      min = Math.min(min, other.min);
      max = Math.max(max, other.max);
      if (other.counts.length == 0) return;
      cover(other.offset, other.offset + other.counts.length);
      int shift = other.offset - offset;
      for (int i = 0; i < other.counts.length; i++) counts[i + shift] += other.counts[i];
    }

    int size() {
      return count == 0 ? 1 : 49 + 4 * counts.length;
    }

    void write(ByteBuffer into) {
      into.put((byte) (count == 0 ? 0 : 1));
      if (count == 0) return;
      into.putLong(count).putLong(sum).putDouble(squares).putLong(min).putLong(max);
      into.putInt(offset).putInt(counts.length);
      for (int each : counts) into.putInt(each);
    }

    void read(ByteBuffer from) {
      if (from.get() == 0) return;
      count = from.getLong();
      sum = from.getLong();
      squares = from.getDouble();
      min = from.getLong();
      max = from.getLong();
      offset = from.getInt();
      counts = new int[from.getInt()];
      for (int i = 0; i < counts.length; i++) counts[i] = from.getInt();
    }
  }

  /** Avro's longs, ints and texts, in place. */
  static class Reader {
    byte[] bytes;
    int at;
    int[] gaps = new int[4096];
    int[] tokens = new int[4096];

    void open(byte[] input) {
      bytes = input;
      at = 5;
    }

    long number() {
      long raw = 0;
      for (int shift = 0; ; shift += 7) {
        byte each = bytes[at++];
        raw |= (long) (each & 0x7f) << shift;
        if (each >= 0) return (raw >>> 1) ^ -(raw & 1);
      }
    }

    int ints(int[] into) {
      int count = 0;
      for (long items = number(); items != 0; items = number()) {
        if (items < 0) {
          items = -items;
          number();
        }
        for (long i = 0; i < items; i++) into[count++] = (int) number();
      }
      return count;
    }

    void skipText() {
      // Not `at += number()`: that would read `at` before the number moves it.
      int size = (int) number();
      at += size;
    }

    String text() {
      int size = (int) number();
      at += size;
      return new String(bytes, at - size, size, StandardCharsets.UTF_8);
    }
  }
}

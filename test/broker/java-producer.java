import java.io.DataInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Produces the values of a file (each after its length) with Apache's own client.
 * usage: java -cp 'libs/*' java-producer.java BROKERS FILE CODEC=TOPIC ...
 */
class JavaProducer {
  public static void main(String[] args) throws Exception {
    List<byte[]> values = new ArrayList<>();
    try (var in = new DataInputStream(Files.newInputStream(Path.of(args[1])))) {
      while (in.available() > 0) values.add(in.readNBytes(in.readInt()));
    }
    for (int i = 2; i < args.length; i++) {
      String[] parts = args[i].split("=");
      produce(args[0], parts[0], parts[1], values);
    }
  }

  static void produce(String brokers, String codec, String topic, List<byte[]> values) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", brokers);
    settings.put("compression.type", codec);
    settings.put("batch.size", 800_000);
    settings.put("linger.ms", 2_000);
    settings.put("max.request.size", 4_000_000);
    var bytes = new ByteArraySerializer();
    try (var producer = new KafkaProducer<byte[], byte[]>(settings, bytes, bytes)) {
      for (byte[] value : values) producer.send(new ProducerRecord<>(topic, 0, null, value));
      producer.flush();
    }
  }
}

// One call of Chat Completions by java.net.http; prints the body of the answer.
//
// Usage: java Chat.java [--agent N]

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;

public class Chat {
    public static void main(String[] words) throws Exception {
        String agent = words.length == 2 ? words[1] : "0";
        // Where a test asks for it: waits until nobody holds the pipe open for writing any more.
        String gate = System.getenv("GATE");
        if (gate != null) {
            Files.readAllBytes(Path.of(gate));
        }
        String body = "{\"model\":\"gpt-mock\",\"messages\":[{\"role\":\"user\",\"content\":\"agent-" + agent + "\"}]}";
        HttpRequest request = HttpRequest.newBuilder(URI.create("https://api.openai.com/v1/chat/completions"))
            .header("authorization", "Bearer " + System.getenv("OPENAI_API_KEY"))
            .header("content-type", "application/json")
            .POST(BodyPublishers.ofString(body))
            .build();
        var response = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
        System.out.println(response.body());
        if (response.statusCode() != 200) {
            System.exit(1);
        }
    }
}

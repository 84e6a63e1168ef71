//! Users of the product, and what they do before anything is measured.

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use proto::{
    auth::v1::{
        LoginRequest, LoginResponse, RegisterRequest, auth_service_client::AuthServiceClient,
    },
    training::v1::{
        CreateRegistrationRequest, ListRegistrationsRequest,
        registration_service_client::RegistrationServiceClient,
    },
};
use tonic::{
    Request,
    transport::{Channel, Endpoint},
};

use crate::stand::{Scene, Stand};

/// Everyone's.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// How many are made at once.
const AT_ONCE: usize = 16;

/// Someone who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) user_id: i64,
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// `message` in the name of who has `token`.
///
/// # Errors
/// Where the token cannot be in a header.
pub(crate) fn by<T>(token: &str, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    Ok(request)
}

/// A full client, for what is not measured.
///
/// # Errors
/// Where nobody accepts the connection.
pub(crate) async fn channel(address: std::net::SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

impl Stand {
    /// So many who nobody else is, signed in: of the users who are loaded where there are any,
    /// else new ones.
    ///
    /// # Errors
    /// Where one of them is refused.
    pub(crate) async fn people(&self, scene: &Scene<'_>, count: usize) -> Result<Vec<Person>> {
        let auth = AuthServiceClient::new(channel(self.auth).await?);
        let names = match &scene.ground.load {
            Some(load) => load.names(scene.ground, count).await?,
            None => self.register(scene, &auth, count).await?,
        };
        let signing_in = names.into_iter().map(|name| sign_in(auth.clone(), name));
        stream::iter(signing_in).buffered(AT_ONCE).try_collect().await
    }

    async fn register(
        &self,
        scene: &Scene<'_>,
        auth: &AuthServiceClient<Channel>,
        count: usize,
    ) -> Result<Vec<String>> {
        let registering = (0..count).map(|_| {
            let (name, mut auth) = (scene.ground.new_name("person"), auth.clone());
            async move {
                auth.register(registration_of(&name)).await.context("registering")?;
                anyhow::Ok(name)
            }
        });
        stream::iter(registering).buffered(AT_ONCE).try_collect().await
    }

    /// Signs `person` in once more: a session of its own.
    ///
    /// # Errors
    /// Where it is refused.
    pub(crate) async fn sign_in_again(&self, person: &Person) -> Result<Person> {
        sign_in(AuthServiceClient::new(channel(self.auth).await?), person.name.clone()).await
    }

    /// Sees to it that each of `people` has exactly so many registrations.
    ///
    /// # Errors
    /// Where someone has more already.
    pub(crate) async fn give_registrations(&self, people: &[Person], count: usize) -> Result<()> {
        let training = RegistrationServiceClient::new(channel(self.training).await?);
        let giving = people.iter().map(|person| {
            let (mut training, token) = (training.clone(), &person.access_token);
            async move {
                let list = ListRegistrationsRequest { page_size: 1000, ..Default::default() };
                let listed = training.list_registrations(by(token, list)?).await?.into_inner();
                let present = listed.registrations.len();
                ensure!(present <= count, "a user has {present} registrations, not {count}");
                for _ in present..count {
                    let new = CreateRegistrationRequest {
                        sport: "cricket".to_owned(),
                        training_level: "intermediate".to_owned(),
                        ..Default::default()
                    };
                    training.create_registration(by(token, new)?).await?;
                }
                Ok(())
            }
        });
        stream::iter(giving).buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// Makes an account for `name`.
pub(crate) fn registration_of(name: &str) -> RegisterRequest {
    RegisterRequest {
        username: name.to_owned(),
        email: format!("{name}@example.com"),
        password: PASSWORD.to_owned(),
        name: String::new(),
        request_id: String::new(),
    }
}

/// Signs `name` in.
pub(crate) fn login_of(name: &str) -> LoginRequest {
    LoginRequest {
        identifier: name.to_owned(),
        password: PASSWORD.to_owned(),
        device_token: String::new(),
    }
}

/// Signs in `name`, who has an account.
///
/// # Errors
/// Where that is refused.
pub(crate) async fn sign_in(mut auth: AuthServiceClient<Channel>, name: String) -> Result<Person> {
    let answer = auth.login(login_of(&name)).await.context("signing in")?.into_inner();
    let LoginResponse { tokens: Some(tokens), user: Some(user), .. } = answer else {
        anyhow::bail!("a sign-in without tokens");
    };
    let (access_token, refresh_token) = (tokens.access_token, tokens.refresh_token);
    Ok(Person { name, user_id: user.id, access_token, refresh_token })
}
